//! Says how the certificates of a Pgpool stand: as a verdict for the channel, and as that part of the Pgpool's status
//! that belongs to ops-manager. Pure.
//!
//! A certificate that stands in its Secret and fits is good, even while nothing new could be issued: then the message
//! says what keeps the next renewal from succeeding.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use operator_runtime::Outcome;
use serde::Serialize;
use shared_types::conditions::{self, ConditionType, Reason};
use shared_types::pgpool::{CertificateChanges, CertificateStatus};
use shared_types::{Alias, Pgpool};

use super::apply::Applied;
use super::breaker::Circuits;
use super::judge::{Finding, Judged};
use super::observe::{self, IssuerState, Observed};
use super::validate::{Needed, Refusal};
use proto::verdict::{CertificateVerdict, PgpoolId, Verdict};

use entry::Entry;

/// How long a state that every new Pgpool passes through is left unwritten. On the channel it is told at once; in the
/// status it would cost a write for each step of a second.
const QUIET: Duration = Duration::from_secs(3);

/// How often a conflict is looked at again that no watch tells the end of: the other object need not bear our labels.
const CONFLICT_RECHECK: Duration = Duration::from_secs(30);

/// How often a certificate is looked at again that is refused for its time alone: it may be the clock that is wrong, and
/// nobody tells when it was set right.
const CLOCK_RECHECK: Duration = Duration::from_mins(1);

/// What is to be told about a Pgpool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// The reason of the verdict.
    pub(crate) reason: Reason,
    /// When time alone changes it: a certificate becomes valid, or ends.
    pub(crate) due: Option<Timestamp>,
    /// Until when it stays out of the status.
    pub(crate) quiet_until: Option<Timestamp>,
    /// Whether a look-up has not been answered yet: then nobody is told anything.
    pub(crate) unknown: bool,
    /// How often each certificate changed of late.
    pub(crate) changes: BTreeMap<Alias, CertificateChanges>,
}

impl Report {
    /// The same with what was counted.
    pub(crate) fn counting(self, circuits: Circuits) -> Self {
        Self {
            changes: circuits.into_changes(),
            ..self
        }
    }
}

/// The part of a Pgpool's status that belongs to ops-manager. Empty lists are written as such: a status that nothing is
/// left of would be no object, and the API server refuses that.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct OwnStatus {
    /// `CertificatesReady`, or nothing without TLS.
    pub(crate) conditions: Vec<Condition>,
    /// One entry per certificate.
    pub(crate) certificates: Vec<CertificateStatus>,
}

impl OwnStatus {
    /// Takes our part out of the status that a Pgpool has.
    pub(crate) fn of(pgpool: &Pgpool) -> Self {
        let Some(status) = &pgpool.status else {
            return Self::default();
        };
        let condition = conditions::find(&status.conditions, ConditionType::CertificatesReady);
        Self {
            conditions: condition.cloned().into_iter().collect(),
            certificates: status.certificates.clone(),
        }
    }

    /// Our condition.
    pub(crate) fn condition(&self) -> Option<&Condition> {
        self.conditions.first()
    }
}

/// Reports on the certificates that `pgpool` needs.
pub(crate) fn report(
    pgpool: &Pgpool,
    needed: &Needed,
    observed: &Observed,
    judged: &[Judged],
    applied: &Applied,
    now: Timestamp,
) -> Report {
    let entries = needed.wanted.iter().zip(judged).map(|(wanted, judged)| {
        entry::entry(&entry::View {
            namespace: &needed.parent.namespace,
            wanted,
            child: observed.children.get(&wanted.alias),
            finding: &judged.finding,
            problem: applied.problems.get(&wanted.alias),
            refused_since: refused_since(pgpool),
            now,
        })
    });
    let entries: Vec<_> = entries.collect();
    let due = entries.iter().filter_map(|entry| entry.due).chain(due(judged));
    let due = due.filter(|at| *at > now).min();
    let reason = reason(&entries);
    let verdict = verdict(pgpool, reason, entries);
    let unknown = is_unknown(needed, judged);
    let births = births(pgpool, observed, applied, now).chain(unknown.then_some(now));
    Report {
        unknown,
        due,
        changes: BTreeMap::new(),
        quiet_until: quiet_until(reason, births, unknown, now),
        reason,
        verdict,
    }
}

/// The first entry that is not ready; else the first that another certificate is wanted for.
fn worst(entries: &[Entry]) -> Option<&Entry> {
    let bad = entries.iter().find(|entry| !entry.verdict.ready);
    bad.or_else(|| entries.iter().find(|entry| entry.unfinished))
}

fn reason(entries: &[Entry]) -> Reason {
    if let Some(worst) = worst(entries) {
        return worst.reason;
    }
    let reasons = entries.iter().map(|entry| entry.reason);
    let nearest_end = reasons.max_by_key(|reason| urgency(*reason));
    nearest_end.unwrap_or(Reason::CertificatesIssued)
}

fn verdict(pgpool: &Pgpool, reason: Reason, entries: Vec<Entry>) -> Verdict {
    let worst = worst(&entries);
    let sentences = entries
        .iter()
        .filter(|entry| worst.is_none() || !entry.verdict.ready || entry.unfinished);
    let mut told: Vec<&str> = Vec::new();
    for sentence in sentences.filter_map(|entry| entry.sentence.as_deref()) {
        // One missing issuer holds all three back, and is told once.
        if !told.contains(&sentence) {
            told.push(sentence);
        }
    }
    let good = worst
        .is_none()
        .then_some("the server, client and metrics-exporter certificates are issued and fit");
    Verdict {
        pgpool: PgpoolId {
            namespace: pgpool.namespace().unwrap_or_default(),
            name: pgpool.name_any(),
            uid: pgpool.uid().unwrap_or_default(),
        },
        generation: pgpool.metadata.generation.unwrap_or_default(),
        ready: worst.is_none(),
        reason: Some(reason),
        message: good.into_iter().chain(told).collect::<Vec<_>>().join("; "),
        certificates: entries.into_iter().map(|entry| entry.verdict).collect(),
    }
}

fn is_unknown(needed: &Needed, judged: &[Judged]) -> bool {
    let mut refusals = needed
        .wanted
        .iter()
        .filter_map(|wanted| wanted.order.as_ref().err());
    refusals.any(Refusal::is_unknown) || judged.iter().any(|judged| judged.finding == Finding::Pending)
}

/// How soon something has to be done about certificates that all fit.
fn urgency(reason: Reason) -> u8 {
    match reason {
        Reason::ExpiresSoon => 2,
        Reason::RenewalOverdue => 1,
        _ => 0,
    }
}

/// When time alone changes the judgement.
fn due(judged: &[Judged]) -> impl Iterator<Item = Timestamp> {
    let leaves = judged.iter().filter_map(|judged| match &judged.finding {
        Finding::Present { leaf, .. } => leaf.as_ref(),
        _ => None,
    });
    leaves.flat_map(|leaf| [leaf.not_before, leaf.not_after])
}

/// Since when the certificates are said not to be ready: by this a wait is measured that leaves no other trace.
fn refused_since(pgpool: &Pgpool) -> Option<Timestamp> {
    let status = pgpool.status.as_ref()?;
    let condition = conditions::find(&status.conditions, ConditionType::CertificatesReady)?;
    (condition.status == conditions::Status::False.as_str()).then_some(condition.last_transition_time.0)
}

/// Whether a reason is one that every new Pgpool passes through.
fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::WaitingForProvisioner | Reason::IssuerNotReady | Reason::Issuing
    )
}

/// When what a certificate comes from was created.
fn births(
    pgpool: &Pgpool,
    observed: &Observed,
    applied: &Applied,
    now: Timestamp,
) -> impl Iterator<Item = Timestamp> {
    let certificates = observed
        .children
        .values()
        .filter_map(|child| child.certificate.as_ref());
    let certificates = certificates.filter_map(|certificate| observe::created(&certificate.metadata));
    let issuers = observed.issuers.values().filter_map(|issuer| match issuer {
        IssuerState::Present { created, .. } => *created,
        _ => None,
    });
    let pgpool = observe::created(&pgpool.metadata);
    certificates
        .chain(issuers)
        .chain(pgpool)
        .chain((!applied.created.is_empty()).then_some(now))
}

/// Something is so young that what is not there yet may well come by itself in a moment.
fn quiet_until(
    reason: Reason,
    births: impl Iterator<Item = Timestamp>,
    unknown: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = births.max()?.checked_add(QUIET).ok()?;
    ((unknown || is_passing(reason)) && until > now).then_some(until)
}

/// Our part of the status, for a report; nothing of it stands without one.
pub(crate) fn own_status(report: Option<&Report>, current: &OwnStatus, now: Timestamp) -> OwnStatus {
    let Some(Report {
        verdict,
        reason,
        quiet_until,
        changes,
        ..
    }) = report
    else {
        return OwnStatus::default();
    };
    if quiet_until.is_some() {
        return current.clone();
    }
    let condition = conditions::condition(
        ConditionType::CertificatesReady,
        verdict.ready,
        *reason,
        verdict.message.clone(),
        Some(verdict.generation),
        now,
        &current.conditions,
    );
    let certificates = verdict.certificates.iter().map(|certificate| CertificateStatus {
        changes: changes.get(&certificate.alias).cloned(),
        ..certificate.to_status()
    });
    OwnStatus {
        conditions: vec![condition],
        certificates: certificates.collect(),
    }
}

/// What a reconcile has come to.
pub(crate) fn outcome(report: Option<&Report>, now: Timestamp) -> Outcome {
    let Some(Report {
        verdict,
        reason,
        due,
        quiet_until,
        ..
    }) = report
    else {
        return Outcome::Converged;
    };
    let left = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
    let by_clock = |certificate: &CertificateVerdict| {
        matches!(certificate.reason, Some(Reason::NotYetValid | Reason::Expired))
    };
    let recheck = verdict.certificates.iter().any(by_clock).then_some(CLOCK_RECHECK);
    let due = due.map(left).into_iter().chain(recheck).min();
    let word = reason.as_str();
    match reason {
        Reason::CertificatesIssued | Reason::RenewalOverdue | Reason::ExpiresSoon => {
            due.map_or(Outcome::Converged, Outcome::ConvergedUntil)
        }
        Reason::IssuerKindUnsupported | Reason::NotSupported => Outcome::Rejected { reason: word },
        Reason::NameConflict | Reason::SecretNameConflict => {
            let after = due.map_or(CONFLICT_RECHECK, |due| due.min(CONFLICT_RECHECK));
            Outcome::Waiting {
                reason: word,
                after: Some(after),
            }
        }
        _ => Outcome::Waiting {
            reason: word,
            after: due.into_iter().chain(quiet_until.map(left)).min(),
        },
    }
}
