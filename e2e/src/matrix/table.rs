//! The result of the matrix, for people and for programs. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use shared_types::SslMode;

use super::cells::{Cell, Column};
use super::oracle::{self, Refusal, Verdict};
use super::pools::Combination;
use super::reading::Seen;

/// The user of all cells.
pub const USER: &str = "postgres";

/// Stands where there is no cell.
const NONE: &str = ".";

/// One pool, asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which.
    pub pool: Combination,
    /// How long it took to serve, from its creation on.
    pub ready: Duration,
    /// Its cells, with what was seen of each.
    pub cells: Vec<(Cell, Seen)>,
}

impl Asked {
    /// The cells in which something else was seen than the rules say, each with a sentence about it.
    #[must_use]
    pub fn unexpected(&self) -> Vec<String> {
        let wrong = |(cell, seen): &(Cell, Seen)| {
            let fault = fault(&self.pool, *cell, seen)?;
            let (row, column) = (cell.row(), cell.column());
            Some(format!("{}: {row}; {column}: {fault}", self.pool.name()))
        };
        self.cells.iter().filter_map(wrong).collect()
    }
}

/// What is wrong with what was seen of a cell.
#[must_use]
pub fn fault(pool: &Combination, cell: Cell, seen: &Seen) -> Option<String> {
    let expected = oracle::verdict(pool, cell);
    let Some(verdict) = &seen.verdict else {
        return Some(format!("expected {expected}, but cannot read: {}", seen.said));
    };
    if *verdict != expected {
        return Some(format!("expected {expected}, but saw {verdict}: {}", seen.said));
    }
    let (user, encrypted) = seen.inside.as_ref()?;
    if user != USER {
        return Some(format!("logged in as {user} instead of {USER}"));
    }
    let wanted = oracle::backend_encrypted(pool);
    (*encrypted != wanted).then(|| format!("TLS to PostgreSQL is {encrypted} instead of {wanted}"))
}

/// How many cells there are, and how many are not as the rules say.
#[must_use]
pub fn counts(asked: &[Asked]) -> (usize, usize) {
    let cells = asked.iter().map(|asked| asked.cells.len()).sum();
    (cells, asked.iter().map(|asked| asked.unexpected().len()).sum())
}

/// The whole table: a block for each pool, then the legend. The last line counts.
#[must_use]
pub fn rendered(asked: &[Asked]) -> String {
    let mut text = String::new();
    for one in asked {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {} ({:.1} s)",
            one.pool.name(),
            one.pool,
            one.ready.as_secs_f64()
        );
        let cells: Vec<_> = one
            .cells
            .iter()
            .map(|(cell, seen)| {
                let mark = fault(&one.pool, *cell, seen).map_or("", |_| "!");
                let seen = seen.verdict.as_ref().map_or("?".to_owned(), ToString::to_string);
                (*cell, format!("{mark}{seen}"))
            })
            .collect();
        text.push_str(&block(&cells));
        text.push('\n');
    }
    text.push_str(&legend());
    for fault in asked.iter().flat_map(Asked::unexpected) {
        let _ = writeln!(text, "unexpected: {fault}");
    }
    let (cells, unexpected) = counts(asked);
    let _ = writeln!(text, "{cells} cells, {unexpected} unexpected");
    text
}

/// What the rules say about one pool, without asking it.
#[cfg(test)]
#[must_use]
pub fn promised(pool: &Combination) -> String {
    let cells: Vec<_> = Cell::of(pool)
        .into_iter()
        .map(|cell| (cell, oracle::verdict(pool, cell).to_string()))
        .collect();
    block(&cells)
}

/// What the words in the table mean.
#[must_use]
pub fn legend() -> String {
    let mut text = format!(
        "{:<12} the client is logged in over TLS\n{:<12} the client is logged in in clear text\n",
        Verdict::Allowed { encrypted: true }.to_string(),
        Verdict::Allowed { encrypted: false }.to_string()
    );
    for refusal in Refusal::ALL {
        let _ = writeln!(text, "- {:<10} {}", refusal.word(), refusal.why());
    }
    text
}

fn block(cells: &[(Cell, String)]) -> String {
    let columns: BTreeSet<Column> = cells.iter().map(|(cell, _)| cell.column()).collect();
    let mut rows: Vec<String> = Vec::new();
    for (cell, _) in cells {
        if !rows.contains(&cell.row()) {
            rows.push(cell.row());
        }
    }
    let mut lines = vec![
        std::iter::once(String::new())
            .chain(columns.iter().map(ToString::to_string))
            .collect::<Vec<_>>(),
    ];
    for row in rows {
        let find = |column: &Column| {
            let found = cells
                .iter()
                .find(|(cell, _)| cell.row() == row && cell.column() == *column);
            found.map_or(NONE.to_owned(), |(_, text)| text.clone())
        };
        lines.push(
            std::iter::once(row.clone())
                .chain(columns.iter().map(find))
                .collect(),
        );
    }
    aligned(&lines)
}

fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<_> = (0..lines.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut row = String::from(" ");
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(row, " {cell:<width$} ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// The same for programs.
#[must_use]
pub fn as_json(asked: &[Asked], took: Duration) -> Value {
    let (cells, unexpected) = counts(asked);
    let pools: Vec<_> = asked.iter().map(pool_as_json).collect();
    json!({"cells": cells, "unexpected": unexpected, "seconds": took.as_secs_f64(), "pools": pools})
}

fn pool_as_json(asked: &Asked) -> Value {
    let cells = asked.cells.iter().map(|(cell, seen)| {
        let fault = fault(&asked.pool, *cell, seen);
        json!({
            "client": cell.row(),
            "credentials": cell.column().to_string(),
            "expected": oracle::verdict(&asked.pool, *cell).to_string(),
            "seen": seen.verdict.as_ref().map(ToString::to_string),
            "user": seen.inside.as_ref().map(|(user, _)| user),
            "backendEncrypted": seen.inside.as_ref().map(|(_, encrypted)| encrypted),
            "unexpected": fault,
        })
    });
    json!({
        "pool": asked.pool.name(),
        "tls": asked.pool.mode.tls,
        "sslMode": asked.pool.mode.ssl.map(SslMode::as_str),
        "clientAuthMode": asked.pool.auth.as_str(),
        "backend": asked.pool.backend.to_string(),
        "version": asked.pool.version,
        "readySeconds": asked.ready.as_secs_f64(),
        "cells": cells.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::cells::{Certificate, Client, Password};
    use super::super::reading;
    use super::*;

    fn asked(said: &str) -> Asked {
        let pool = Combination::all()[0];
        let cell = Cell::new(Client::Disable, Password::Right, Certificate::None);
        Asked {
            pool,
            ready: Duration::from_secs(1),
            cells: vec![(cell, reading::read(i32::from(!said.starts_with("row")), said))],
        }
    }

    #[test]
    fn what_differs_is_counted_and_marked() {
        let rows = [
            ("row postgres false", 0, "  clear\n"),
            ("row postgres true", 1, "!clear"),
            ("row somebody false", 1, "logged in as somebody"),
            (
                "connection to server at a: password does not match",
                1,
                "!- bad pw",
            ),
            ("connection to server at a: whatever", 1, "cannot read"),
        ];
        for (said, unexpected, words) in rows {
            let text = rendered(&[asked(said)]);
            assert!(text.contains(words), "{words}: {text}");
            assert!(
                text.ends_with(&format!("1 cells, {unexpected} unexpected\n")),
                "{text}"
            );
        }
    }

    #[test]
    fn programs_read_the_same() {
        let value = as_json(&[asked("row postgres false")], Duration::from_secs(2));
        assert_eq!(value["cells"], 1);
        assert_eq!(value["pools"][0]["cells"][0]["seen"], "clear");
        assert_eq!(value["pools"][0]["cells"][0]["unexpected"], Value::Null);
    }
}
