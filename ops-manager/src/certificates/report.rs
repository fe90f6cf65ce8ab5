//! Computes what is published about the certificates of a Pgpool: the verdict for the channel, and the part of the status
//! that ops-manager writes. Pure.
//!
//! A valid certificate in its Secret is ready even while nothing new could be issued: then the message says what prevents
//! the next renewal.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use operator_runtime::Outcome;
use proto::verdict::{CertificateVerdict, PgpoolId, Verdict};
use shared_types::conditions::{self, ConditionType, Reason};
use shared_types::explanation::Explanation;
use shared_types::pgpool::{CertificateChanges, CertificateStatus};
use shared_types::{Alias, Pgpool};

use super::apply::Applied;
use super::decide::Decision;
use super::decide::verify::{Finding, Verified};
use super::observe::{self, IssuerState, Observed};
use super::own_status::OwnStatus;
use super::validate::{Refusal, Validated};

use entry::Entry;

/// How long a state that every new Pgpool passes through stays out of the status: it would cost a write for each step of
/// a second. The channel carries it at once.
const QUIET: Duration = Duration::from_secs(3);

/// Pause before a name conflict is checked again: the other object need not have our labels, so no watch shows its
/// deletion.
const CONFLICT_RECHECK: Duration = Duration::from_secs(30);

/// Pause before an expired or not yet valid certificate is checked again: the clock may be wrong, and nothing shows when it
/// is corrected.
const CLOCK_RECHECK: Duration = Duration::from_mins(1);

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    /// Of the verdict.
    pub(crate) reason: Reason,
    /// When the verdict changes by time alone: a certificate becomes valid, or expires.
    pub(crate) due: Option<Timestamp>,
    /// Until when it stays out of the status.
    pub(crate) quiet_until: Option<Timestamp>,
    /// A look-up has not been answered yet: then nothing is published.
    pub(crate) unknown: bool,
    /// Who else can log in by certificate.
    pub(crate) client_issuer_shared: Option<Explanation>,
    /// The counts of the circuit breaker.
    pub(crate) changes: BTreeMap<Alias, CertificateChanges>,
}

/// Returns `None` without TLS.
pub(crate) fn report(
    pgpool: &Pgpool,
    observed: &Observed,
    decision: &Decision,
    applied: &Applied,
    now: Timestamp,
) -> Option<Report> {
    let validated = decision.validated.as_ref()?;
    let verified = &decision.verified;
    let entries = validated.wanted.iter().zip(verified).map(|(wanted, verified)| {
        let blocked = decision.blocked.get(&wanted.alias);
        entry::entry(&entry::View {
            namespace: &validated.parent.namespace,
            wanted,
            child: observed.children.get(&wanted.alias),
            finding: &verified.finding,
            blocked: blocked.or_else(|| applied.rejected.get(&wanted.alias)),
            unready_since: unready_since(pgpool),
            is_new: !has_served(pgpool),
            now,
        })
    });
    let entries: Vec<_> = entries.collect();
    let due = entries
        .iter()
        .filter_map(|entry| entry.due)
        .chain(validity(verified));
    let due = due.filter(|at| *at > now).min();
    let reason = reason(&entries);
    let verdict = verdict(pgpool, reason, entries);
    let unknown = is_unknown(validated, verified);
    let creations = creations(pgpool, observed, applied, now).chain(unknown.then_some(now));
    Some(Report {
        unknown,
        due,
        changes: decision.changes.clone(),
        client_issuer_shared: decision.client_issuer_shared.clone(),
        quiet_until: quiet_until(reason, creations, unknown, now),
        reason,
        verdict,
    })
}

/// The first entry that is not ready; else the first that another certificate is needed for.
fn worst(entries: &[Entry]) -> Option<&Entry> {
    let bad = entries.iter().find(|entry| !entry.verdict.ready);
    bad.or_else(|| entries.iter().find(|entry| entry.unfinished))
}

fn reason(entries: &[Entry]) -> Reason {
    if let Some(worst) = worst(entries) {
        return worst.reason;
    }
    let reasons = entries.iter().map(|entry| entry.reason);
    let most_urgent = reasons.max_by_key(|reason| urgency(*reason));
    most_urgent.unwrap_or(Reason::CertificatesIssued)
}

fn verdict(pgpool: &Pgpool, reason: Reason, entries: Vec<Entry>) -> Verdict {
    let worst = worst(&entries);
    let sentences = entries
        .iter()
        .filter(|entry| worst.is_none() || !entry.verdict.ready || entry.unfinished);
    let mut message: Vec<&str> = Vec::new();
    if worst.is_none() {
        message.push("the server, client and metrics-exporter certificates are issued and valid");
    }
    for sentence in sentences.filter_map(|entry| entry.sentence.as_deref()) {
        // One missing issuer affects all three, and is named once.
        if !message.contains(&sentence) {
            message.push(sentence);
        }
    }
    let warnings = warnings(&entries);
    message.extend(warnings.iter().map(String::as_str));
    Verdict {
        pgpool: PgpoolId {
            namespace: pgpool.namespace().unwrap_or_default(),
            name: pgpool.name_any(),
            uid: pgpool.uid().unwrap_or_default(),
        },
        generation: pgpool.metadata.generation.unwrap_or_default(),
        ready: worst.is_none(),
        reason: Some(reason),
        message: message.join("; "),
        certificates: entries.into_iter().map(|entry| entry.verdict).collect(),
    }
}

/// What clients lack, once for all certificates of which the same is true. While one is not ready, that comes first.
fn warnings(entries: &[Entry]) -> Vec<String> {
    if worst(entries).is_some() {
        return Vec::new();
    }
    let mut shared: Vec<(&str, Vec<&str>)> = Vec::new();
    for (secret, warning) in entries.iter().filter_map(|entry| entry.warning.as_ref()) {
        match shared.iter_mut().find(|(known, _)| known == warning) {
            Some((_, secrets)) => secrets.push(secret),
            None => shared.push((warning, vec![secret])),
        }
    }
    let sentence = |(warning, secrets): &(&str, Vec<&str>)| format!("{}: {warning}", secrets.join(", "));
    shared.iter().map(sentence).collect()
}

fn is_unknown(validated: &Validated, verified: &[Verified]) -> bool {
    let wanted = validated.wanted.iter();
    let mut refusals = wanted.filter_map(|wanted| wanted.order.as_ref().err());
    let is_pending = |verified: &Verified| verified.finding == Finding::Pending;
    refusals.any(Refusal::is_unknown) || verified.iter().any(is_pending)
}

/// How soon something has to be done about valid certificates.
fn urgency(reason: Reason) -> u8 {
    match reason {
        Reason::ExpiresSoon => 3,
        Reason::RenewalOverdue => 2,
        Reason::RootNotPublished => 1,
        _ => 0,
    }
}

/// Begin and end of the validity of all certificates.
fn validity(verified: &[Verified]) -> impl Iterator<Item = Timestamp> {
    let leaves = verified.iter().filter_map(|verified| match &verified.finding {
        Finding::Present { leaf, .. } => leaf.as_ref(),
        _ => None,
    });
    leaves.flat_map(|leaf| [leaf.not_before, leaf.not_after])
}

/// Since when the status says that the certificates are not ready: the only trace of some waits.
fn unready_since(pgpool: &Pgpool) -> Option<Timestamp> {
    let status = pgpool.status.as_ref()?;
    let condition = conditions::find(&status.conditions, ConditionType::CertificatesReady)?;
    (condition.status == conditions::Status::False.as_str()).then_some(condition.last_transition_time.0)
}

fn has_served(pgpool: &Pgpool) -> bool {
    let status = pgpool.status.as_ref();
    status.is_some_and(|status| conditions::is_true(&status.conditions, ConditionType::Provisioned))
}

/// Whether every new Pgpool passes through this reason.
fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::WaitingForProvisioner | Reason::IssuerNotReady | Reason::Issuing
    )
}

/// When the objects that a certificate comes from were created.
fn creations(
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
        .chain(applied.created.then_some(now))
}

/// Set while something is so new that what is missing may appear within moments.
fn quiet_until(
    reason: Reason,
    creations: impl Iterator<Item = Timestamp>,
    unknown: bool,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = creations.max()?.checked_add(QUIET).ok()?;
    ((unknown || is_passing(reason)) && until > now).then_some(until)
}

/// Our part of the status; empty without a report.
pub(crate) fn own_status(report: Option<&Report>, current: &OwnStatus, now: Timestamp) -> OwnStatus {
    let Some(Report {
        verdict,
        reason,
        quiet_until,
        client_issuer_shared,
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
    let shared = client_issuer_shared.as_ref().map(|shared| {
        conditions::condition(
            ConditionType::ClientIssuerShared,
            true,
            shared.reason,
            shared.message.clone(),
            Some(verdict.generation),
            now,
            &current.conditions,
        )
    });
    let certificates = verdict.certificates.iter().map(|certificate| CertificateStatus {
        changes: changes.get(&certificate.alias).cloned(),
        ..certificate.to_status()
    });
    OwnStatus {
        conditions: std::iter::once(condition).chain(shared).collect(),
        certificates: certificates.collect(),
    }
}

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
        Reason::CertificatesIssued
        | Reason::RootNotPublished
        | Reason::RenewalOverdue
        | Reason::ExpiresSoon => due.map_or(Outcome::Converged, Outcome::ConvergedUntil),
        Reason::IssuerKindUnsupported | Reason::ClientIssuerNotNamespaced | Reason::NotSupported => {
            Outcome::Rejected { reason: word }
        }
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
