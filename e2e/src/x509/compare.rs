//! What `tls-bundle` says about a case beside what is true.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use anyhow::Context as _;
use tls_bundle::{Entry, Failure, Verification, verify, verify_presented};

use super::case::Case;
use super::documented::{self, Reason};
use super::oracle::{Oracle, Truth};

/// A case with the verdicts of both.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) outcome: Outcome,
    pub(crate) class: Class,
    /// What `tls-bundle` says, for people.
    pub(crate) message: String,
    /// The processor time of `tls-bundle`.
    pub(crate) took: Duration,
}

/// How the two verdicts relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// They are the same.
    Agree,
    /// Accepted with the warning that clients need another root certificate, with which everything works.
    Warned,
    /// Refused on purpose, though psql connects.
    Documented(&'static Reason),
    /// Accepted, though psql does not connect.
    TooLenient,
    /// Refused without a documented reason, though psql connects.
    TooStrict,
    /// The check of what a server with these files presents has another result.
    Inconsistent,
    /// `tls-bundle` panicked.
    Panicked,
}

/// Cases of one class differ for the same reason, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    /// The failure of `tls-bundle`, or that there is none.
    pub(crate) ours: String,
    /// What fails with OpenSSL, or that all works.
    pub(crate) theirs: String,
}

/// Verifies a case with both.
pub(crate) fn compare(oracle: &Oracle, case: &Case) -> anyhow::Result<Comparison> {
    let truth = oracle.truth(case)?;
    let theirs = truth.result().err().unwrap_or("works").to_owned();
    let (verdict, took) = verdict(case)?;
    let Some(verdict) = verdict else {
        let ours = "panic".to_owned();
        return Ok(Comparison {
            outcome: Outcome::Panicked,
            class: Class { ours, theirs },
            message: String::new(),
            took,
        });
    };
    let mut outcome = outcome(&verdict, &truth, case);
    if is_inconsistent(case, &verdict, &truth) {
        outcome = Outcome::Inconsistent;
    }
    Ok(Comparison {
        outcome,
        class: Class {
            ours: verdict.class(),
            theirs,
        },
        message: verdict.message(),
        took,
    })
}

/// What `tls-bundle` says, without failures of a key that the suite keeps to itself; nothing when it panicked.
fn verdict(case: &Case) -> anyhow::Result<(Option<Verdict>, Duration)> {
    let start = processor_time()?;
    let verified = catch_unwind(AssertUnwindSafe(|| {
        verify(&case.bundle(), &case.required(), case.at)
    }));
    let took = processor_time()?.saturating_sub(start);
    let verdict = verified.ok().map(|verification| {
        let mut verdict = Verdict::of(verification);
        if case.key.is_none() {
            verdict.failures.retain(|failure| !is_about_the_key(failure));
        }
        verdict
    });
    Ok((verdict, took))
}

/// What this thread has used of a processor, which other programs do not change.
fn processor_time() -> anyhow::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("reading the processor time")?;
    let used = text.split(' ').next().context("no processor time")?;
    Ok(Duration::from_nanos(used.parse()?))
}

/// Whether the provisioner's look at a server with these files would not end as the check before did, which also reads the key
/// and PEM.
fn is_inconsistent(case: &Case, before: &Verdict, truth: &Truth) -> bool {
    if truth.presented.is_empty() {
        return false;
    }
    let ca = Some(case.ca.as_slice());
    let after = Verdict::of(verify_presented(&truth.presented, ca, &case.required(), case.at));
    let is_about_files = |failure: &Failure| is_about_the_key(failure) || is_about_pem(failure);
    match (before.accepts(), after.accepts()) {
        (true, false) => true,
        (false, true) => !before.failures.iter().any(is_about_files),
        (true, true) | (false, false) => false,
    }
}

/// Whether `tls.crt` is refused before its certificates are looked at.
fn is_about_pem(failure: &Failure) -> bool {
    matches!(failure, Failure::CertificateUnreadable { problem } if !problem.starts_with("certificate "))
}

fn is_about_the_key(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Incomplete { entry: Entry::Key }
            | Failure::KeyUnreadable { .. }
            | Failure::KeyMismatch { .. }
    )
}

struct Verdict {
    readable: bool,
    failures: Vec<Failure>,
    warnings: Vec<String>,
}

impl Verdict {
    fn of(verification: Verification) -> Self {
        Self {
            readable: verification.leaf.is_some(),
            failures: verification.failures,
            warnings: verification.warnings.iter().map(ToString::to_string).collect(),
        }
    }

    fn accepts(&self) -> bool {
        self.readable && self.failures.is_empty()
    }

    fn class(&self) -> String {
        match self.failures.first() {
            Some(failure) => variant(failure),
            None if self.warnings.is_empty() => "accepted".to_owned(),
            None => "accepted with a warning".to_owned(),
        }
    }

    fn message(&self) -> String {
        let failures = self.failures.iter().map(ToString::to_string);
        let all: Vec<_> = failures.chain(self.warnings.iter().cloned()).collect();
        all.join("; ")
    }
}

fn outcome(verdict: &Verdict, truth: &Truth, case: &Case) -> Outcome {
    match (verdict.accepts(), truth.result()) {
        (true, Ok(())) | (false, Err(_)) => Outcome::Agree,
        (true, Err(_)) if !verdict.warnings.is_empty() && truth.works_with_another_root() => Outcome::Warned,
        (true, Err(_)) => Outcome::TooLenient,
        (false, Ok(())) => match documented::reason(&verdict.failures, case) {
            Some(reason) => Outcome::Documented(reason),
            None => Outcome::TooStrict,
        },
    }
}

/// The name of a failure and of the fault inside it, with the problem of one that is about reading.
fn variant(failure: &Failure) -> String {
    let name = |text: &str| {
        let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
        text.get(..end).unwrap_or_default().to_owned()
    };
    let shown = format!("{failure:?}");
    let outer = name(&shown);
    match failure {
        Failure::CertificateUnreadable { problem }
        | Failure::KeyUnreadable { problem }
        | Failure::CaUnreadable { problem } => format!("{outer}: {problem}"),
        Failure::ChainBroken { fault } => format!("{outer}: {}", name(&format!("{fault:?}"))),
        _ => outer,
    }
}
