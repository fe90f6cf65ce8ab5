//! What came of the pools of the matrix, beside what must come of them. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cells::Cell;
use super::oracle;
use super::pools::{Combination, USER};
use super::psql_output::Seen;
use super::steady_clients::Connections;

/// What is wrong with what was seen of a cell.
pub(crate) fn fault(pool: &Combination, cell: Cell, seen: &Seen) -> Option<String> {
    let expected = oracle::verdict(pool, cell);
    let Some(verdict) = &seen.verdict else {
        return Some(format!("expected {expected}, but cannot read: {}", seen.output));
    };
    if *verdict != expected {
        return Some(format!("expected {expected}, but saw {verdict}: {}", seen.output));
    }
    let (user, encrypted) = seen.inside.as_ref()?;
    if user != USER {
        return Some(format!("logged in as {user} instead of {USER}"));
    }
    let wanted = oracle::backend_encrypted(pool);
    (*encrypted != wanted).then(|| format!("TLS to PostgreSQL is {encrypted} instead of {wanted}"))
}

/// What came of a change of a running pool, or of its creation.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// What it was; `None` when it was created.
    pub(crate) before: Option<Combination>,
    pub(crate) after: Combination,
    /// How long it took until it was ready.
    pub(crate) ready: Duration,
    /// What came of the clients that both modes admit.
    pub(crate) connections: Connections,
    /// Conditions that were not true meanwhile.
    pub(crate) claims: BTreeSet<String>,
    pub(crate) warnings: Vec<String>,
    /// The cells, tried as soon as the pool was ready, with what was seen of each.
    pub(crate) cells: Vec<(Cell, Seen)>,
}

impl Outcome {
    /// A change of which nothing is known but how long it took.
    pub(crate) fn new(name: &str, before: Option<Combination>, after: Combination, ready: Duration) -> Self {
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
    pub(crate) fn unexpected(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (cell, seen) in &self.cells {
            if let Some(fault) = fault(&self.after, *cell, seen) {
                all.push(format!("{}; {}: {fault}", cell.row(), cell.column()));
            }
        }
        for output in &self.connections.failures {
            all.push(format!(
                "a client that both modes admit was rejected during the change: {output}"
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

    pub(crate) fn title(&self) -> String {
        let after = mode(&self.after);
        match &self.before {
            Some(before) => format!("{} {} -> {after}", self.name, mode(before)),
            None => format!("{} created as {after}, {}", self.name, self.after.backend),
        }
    }
}

fn mode(pool: &Combination) -> String {
    let tls = if pool.mode.tls { "tls" } else { "no tls" };
    let ssl = pool.mode.ssl.map_or("unset", shared_types::SslMode::as_str);
    format!("[{tls}, {ssl}, {}]", pool.auth.as_str())
}

/// How many changes, cells and connections there are, and how much is not as it must be.
pub(crate) fn counts(outcomes: &[Outcome]) -> (usize, usize, u32, usize) {
    let made = outcomes.iter().filter(|outcome| outcome.before.is_some()).count();
    let cells = outcomes.iter().map(|outcome| outcome.cells.len()).sum();
    let connections = outcomes.iter().map(|outcome| outcome.connections.attempts).sum();
    let unexpected = outcomes.iter().map(|outcome| outcome.unexpected().len()).sum();
    (made, cells, connections, unexpected)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::cells::{Certificate, Client, Password};
    use super::super::{change_report, psql_output};
    use super::*;

    pub(in crate::matrix) fn outcome(output: &str) -> Outcome {
        let pool = Combination::all()[0];
        let cell = Cell::new(Client::Disable, Password::Right, Certificate::None);
        let seen = psql_output::read(i32::from(!output.starts_with("row")), output);
        let mut outcome = Outcome::new("a", Some(pool), pool, Duration::from_secs(1));
        outcome.connections.attempts = 3;
        outcome.cells.push((cell, seen));
        outcome
    }

    #[test]
    fn what_must_not_be_is_counted_and_named() {
        let good = outcome("row postgres false");
        assert_eq!(counts(std::slice::from_ref(&good)), (1, 1, 3, 0));
        let mut refused = good.clone();
        refused.connections.failures.push("gone".to_owned());
        let untrue = Outcome {
            claims: BTreeSet::from(["Stalled".to_owned()]),
            warnings: vec!["Bad".to_owned()],
            ..good.clone()
        };
        let all = [good.clone(), outcome("row postgres true"), refused, untrue];
        let text = change_report::rendered(&all);
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
        let created = Outcome {
            before: None,
            claims: BTreeSet::from(["AcceptingConnection".to_owned()]),
            warnings: vec!["Waits".to_owned()],
            ..outcome("row postgres false")
        };
        assert_eq!(counts(&[created]), (0, 1, 3, 0));
    }
}
