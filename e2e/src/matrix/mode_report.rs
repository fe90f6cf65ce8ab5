//! The result of the matrix, for people and for programs. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use shared_types::SslMode;

use super::cells::{Cell, Column};
use super::oracle::{self, Refusal, Verdict};
use super::outcomes::{Outcome, counts, fault};

const NONE: &str = ".";

/// The whole table: a block for each pool, then the legend. The last line counts.
pub(crate) fn rendered(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for one in outcomes {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {} ({:.1} s)",
            one.after.name(),
            one.after,
            one.ready.as_secs_f64()
        );
        let cells: Vec<_> = one
            .cells
            .iter()
            .map(|(cell, seen)| {
                let mark = fault(&one.after, *cell, seen).map_or("", |_| "!");
                let seen = seen.verdict.as_ref().map_or("?".to_owned(), ToString::to_string);
                (*cell, format!("{mark}{seen}"))
            })
            .collect();
        text.push_str(&block(&cells));
        text.push('\n');
    }
    text.push_str(&legend());
    for fault in outcomes.iter().flat_map(Outcome::unexpected) {
        let _ = writeln!(text, "unexpected: {fault}");
    }
    let (_, cells, _, unexpected) = counts(outcomes);
    let _ = writeln!(text, "{cells} cells, {unexpected} unexpected");
    text
}

pub(crate) fn legend() -> String {
    let mut text = format!(
        "{:<12} the client is logged in over TLS\n{:<12} the client is logged in in clear text\n",
        Verdict::Allowed { encrypted: true }.to_string(),
        Verdict::Allowed { encrypted: false }.to_string()
    );
    for (_, word, why) in Refusal::ALL {
        let _ = writeln!(text, "- {word:<10} {why}");
    }
    text
}

pub(super) fn block(cells: &[(Cell, String)]) -> String {
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

pub(crate) fn as_json(outcomes: &[Outcome], took: Duration) -> Value {
    let (_, cells, _, unexpected) = counts(outcomes);
    let pools: Vec<_> = outcomes.iter().map(pool_as_json).collect();
    json!({"cells": cells, "unexpected": unexpected, "seconds": took.as_secs_f64(), "pools": pools})
}

fn pool_as_json(outcome: &Outcome) -> Value {
    let cells = outcome.cells.iter().map(|(cell, seen)| {
        let fault = fault(&outcome.after, *cell, seen);
        json!({
            "client": cell.row(),
            "credentials": cell.column().to_string(),
            "expected": oracle::verdict(&outcome.after, *cell).to_string(),
            "seen": seen.verdict.as_ref().map(ToString::to_string),
            "user": seen.inside.as_ref().map(|(user, _)| user),
            "backendEncrypted": seen.inside.as_ref().map(|(_, encrypted)| encrypted),
            "unexpected": fault,
        })
    });
    json!({
        "pool": outcome.after.name(),
        "tls": outcome.after.mode.tls,
        "sslMode": outcome.after.mode.ssl.map(SslMode::as_str),
        "clientAuthMode": outcome.after.auth.as_str(),
        "backend": outcome.after.backend.to_string(),
        "version": outcome.after.version,
        "readySeconds": outcome.ready.as_secs_f64(),
        "cells": cells.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::outcomes::tests::outcome;
    use super::*;

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
        for (output, unexpected, words) in rows {
            let text = rendered(&[outcome(output)]);
            assert!(text.contains(words), "{words}: {text}");
            let end = format!("1 cells, {unexpected} unexpected\n");
            assert!(text.ends_with(&end), "{text}");
        }
    }

    #[test]
    fn programs_read_the_same() {
        let value = as_json(&[outcome("row postgres false")], Duration::from_secs(2));
        assert_eq!(value["cells"], 1);
        assert_eq!(value["pools"][0]["cells"][0]["seen"], "clear");
        assert_eq!(value["pools"][0]["cells"][0]["unexpected"], Value::Null);
    }
}
