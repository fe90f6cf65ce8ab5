//! All differences of a run by class, as text and JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::case::Case;
use super::compare::{Class, Comparison, Outcome};

/// What came of many cases.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    cases: usize,
    classes: BTreeMap<(Outcome, Class), Members>,
}

/// The cases of a class.
#[derive(Debug)]
struct Members {
    count: usize,
    /// The one with the smallest files, and what `tls-bundle` says about it.
    smallest: Case,
    message: String,
}

impl Summary {
    pub(crate) fn add(&mut self, case: &Case, comparison: Comparison) {
        self.cases += 1;
        if comparison.outcome == Outcome::Agree {
            return;
        }
        let size = |case: &Case| case.ca.len() + case.certificate.len();
        let key = (comparison.outcome, comparison.class);
        let members = self.classes.entry(key).or_insert_with(|| Members {
            count: 0,
            smallest: case.clone(),
            message: comparison.message.clone(),
        });
        members.count += 1;
        if size(case) < size(&members.smallest) {
            members.smallest = case.clone();
            members.message = comparison.message;
        }
    }

    pub(crate) fn count(&self, counted: impl Fn(Outcome) -> bool) -> usize {
        let classes = self.classes.iter().filter(|((outcome, _), _)| counted(*outcome));
        classes.map(|(_, members)| members.count).sum()
    }

    /// Cases in which `tls-bundle` is wrong.
    pub(crate) fn wrong(&self) -> usize {
        self.count(|outcome| {
            matches!(
                outcome,
                Outcome::TooLenient | Outcome::TooStrict | Outcome::Inconsistent | Outcome::Panicked
            )
        })
    }

    /// Each class of wrong verdicts: its smallest case, and a text about it.
    pub(crate) fn examples(&self) -> impl Iterator<Item = (&Case, String)> {
        let wrong = self.classes.iter().filter(|((outcome, _), _)| {
            matches!(
                outcome,
                Outcome::TooLenient | Outcome::TooStrict | Outcome::Inconsistent | Outcome::Panicked
            )
        });
        wrong.map(|(key, members)| (&members.smallest, line(key, members)))
    }

    pub(crate) fn json(&self) -> Value {
        let classes = self.classes.iter().map(|((outcome, class), members)| {
            json!({
                "outcome": word(*outcome),
                "tlsBundle": class.ours,
                "openssl": class.theirs,
                "count": members.count,
                "example": members.smallest.name,
                "message": members.message,
            })
        });
        json!({
            "cases": self.cases,
            "wrong": self.wrong(),
            "classes": classes.collect::<Vec<_>>(),
        })
    }
}

/// A line for each class, then the totals.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, members) in &self.classes {
            writeln!(f, "{}", line(key, members))?;
        }
        let panicked = self.count(|outcome| outcome == Outcome::Panicked);
        if panicked > 0 {
            writeln!(f, "{panicked} cases made tls-bundle panic")?;
        }
        let inconsistent = self.count(|outcome| outcome == Outcome::Inconsistent);
        if inconsistent > 0 {
            writeln!(
                f,
                "{inconsistent} cases are verified in another way when a server presents them"
            )?;
        }
        write!(
            f,
            "{} cases, {} too lenient, {} too strict, {} documented, {} accepted with a warning",
            self.cases,
            self.count(|outcome| outcome == Outcome::TooLenient),
            self.count(|outcome| outcome == Outcome::TooStrict),
            self.count(|outcome| matches!(outcome, Outcome::Documented(_))),
            self.count(|outcome| outcome == Outcome::Warned),
        )
    }
}

fn line((outcome, class): &(Outcome, Class), members: &Members) -> String {
    let reason = match outcome {
        Outcome::Documented(reason) => format!(" ({})", reason.name),
        _ => String::new(),
    };
    format!(
        "{}{reason}: {} x tls-bundle: {}; OpenSSL: {}; such as {}",
        word(*outcome),
        members.count,
        class.ours,
        class.theirs,
        members.smallest.name
    )
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Agree => "agree",
        Outcome::Warned => "accepted with a warning",
        Outcome::Documented(_) => "documented",
        Outcome::TooLenient => "too lenient",
        Outcome::TooStrict => "too strict",
        Outcome::Inconsistent => "inconsistent",
        Outcome::Panicked => "panic",
    }
}
