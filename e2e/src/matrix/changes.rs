//! What came of changes to running pools, for people and for programs. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::cells::Cell;
use super::load::Connections;
use super::pools::Combination;
use super::reading::Seen;
use super::table;

/// One change of a running pool, or its creation.
#[derive(Clone, Debug)]
pub struct Change {
    /// The pool.
    pub name: String,
    /// What it was; `None` when it was created.
    pub before: Option<Combination>,
    /// What it is.
    pub after: Combination,
    /// How long it took until it said so.
    pub ready: Duration,
    /// What came of the clients that both modes admit.
    pub connections: Connections,
    /// What the pool said meanwhile that was not so.
    pub claims: BTreeSet<String>,
    /// What people were warned of meanwhile.
    pub warnings: Vec<String>,
    /// The cells, asked as soon as the pool said that it was ready, with what was seen of each.
    pub cells: Vec<(Cell, Seen)>,
}

impl Change {
    /// A change of which nothing is known but how long it took.
    pub fn new(name: &str, before: Option<Combination>, after: Combination, ready: Duration) -> Self {
        Self {
            name: name.to_owned(),
            before,
            after,
            ready,
            connections: Connections::default(),
            claims: BTreeSet::new(),
            warnings: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// What must not be, each with a sentence about it.
    pub fn unexpected(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (cell, seen) in &self.cells {
            if let Some(fault) = table::fault(&self.after, *cell, seen) {
                all.push(format!("{}; {}: {fault}", cell.row(), cell.column()));
            }
        }
        for said in &self.connections.failures {
            all.push(format!(
                "a client that both modes admit was rejected during the change: {said}"
            ));
        }
        if self.before.is_some() {
            let claims = self.claims.iter();
            all.extend(claims.map(|claim| format!("the status had a false condition: {claim}")));
            let warnings = self.warnings.iter();
            all.extend(warnings.map(|warning| format!("a warning about a requested change: {warning}")));
        }
        let title = self.title();
        all.into_iter().map(|what| format!("{title}: {what}")).collect()
    }

    /// The change in words.
    #[must_use]
    pub fn title(&self) -> String {
        let after = mode(&self.after);
        match &self.before {
            Some(before) => format!("{} {} -> {after}", self.name, mode(before)),
            None => format!("{} created as {after}, {}", self.name, self.after.backend),
        }
    }
}

/// A mode in short.
fn mode(pool: &Combination) -> String {
    let tls = if pool.mode.tls { "tls" } else { "no tls" };
    let ssl = pool.mode.ssl.map_or("unset", shared_types::SslMode::as_str);
    format!("[{tls}, {ssl}, {}]", pool.auth.as_str())
}

/// How many changes, cells and connections there are, and how much is not as it must be.
#[must_use]
pub fn counts(changes: &[Change]) -> (usize, usize, u32, usize) {
    let made = changes.iter().filter(|change| change.before.is_some()).count();
    let cells = changes.iter().map(|change| change.cells.len()).sum();
    let connections = changes.iter().map(|change| change.connections.attempts).sum();
    let unexpected = changes.iter().map(|change| change.unexpected().len()).sum();
    (made, cells, connections, unexpected)
}

/// A line for each change, then what is unexpected. The last line counts.
#[must_use]
pub fn rendered(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let faults = change.unexpected().len();
        let mark = if faults == 0 { ' ' } else { '!' };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{mark} {:<75} {:>5.1} s {:>4} cells {:>4} connections",
            change.title(),
            change.ready.as_secs_f64(),
            change.cells.len(),
            change.connections.attempts,
        );
    }
    for fault in changes.iter().flat_map(Change::unexpected) {
        let _ = writeln!(text, "unexpected: {fault}");
    }
    let (made, cells, connections, unexpected) = counts(changes);
    let _ = writeln!(
        text,
        "{made} transitions, {cells} cells, {connections} connections meanwhile, {unexpected} unexpected"
    );
    text
}

/// The same for programs.
#[must_use]
pub fn as_json(changes: &[Change], took: Duration) -> Value {
    let (made, cells, connections, unexpected) = counts(changes);
    let each = changes.iter().map(|change| {
        json!({
            "pool": change.name,
            "before": change.before.map(|before| before.to_string()),
            "after": change.after.to_string(),
            "readySeconds": change.ready.as_secs_f64(),
            "cells": change.cells.len(),
            "connections": change.connections.attempts,
            "unexpected": change.unexpected(),
        })
    });
    json!({
        "transitions": made,
        "cells": cells,
        "connections": connections,
        "unexpected": unexpected,
        "seconds": took.as_secs_f64(),
        "changes": each.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::cells::{Certificate, Client, Password};
    use super::super::reading;
    use super::*;

    fn change(said: &str) -> Change {
        let pool = Combination::all()[0];
        let cell = Cell::new(Client::Disable, Password::Right, Certificate::None);
        let seen = reading::read(i32::from(!said.starts_with("row")), said);
        let mut change = Change::new("a", Some(pool), pool, Duration::from_secs(1));
        change.connections.attempts = 3;
        change.cells.push((cell, seen));
        change
    }

    #[test]
    fn what_must_not_be_is_counted_and_named() {
        let good = change("row postgres false");
        assert_eq!(counts(std::slice::from_ref(&good)), (1, 1, 3, 0));
        let mut refused = good.clone();
        refused.connections.failures.push("gone".to_owned());
        let untrue = Change {
            claims: BTreeSet::from(["Stalled".to_owned()]),
            warnings: vec!["Bad".to_owned()],
            ..good.clone()
        };
        let all = [good.clone(), change("row postgres true"), refused, untrue];
        let text = rendered(&all);
        for words in [
            "TLS to PostgreSQL",
            "rejected during the change: gone",
            "false condition: Stalled",
            "requested change: Bad",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(
            text.ends_with("4 transitions, 4 cells, 12 connections meanwhile, 4 unexpected\n"),
            "{text}"
        );
    }

    #[test]
    fn creation_is_no_change_and_may_say_what_it_lacks() {
        let created = Change {
            before: None,
            claims: BTreeSet::from(["AcceptingConnection".to_owned()]),
            warnings: vec!["Waits".to_owned()],
            ..change("row postgres false")
        };
        assert_eq!(counts(&[created]), (0, 1, 3, 0));
    }
}
