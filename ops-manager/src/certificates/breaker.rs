//! Notices that a certificate changes without end, and ends it. Pure.
//!
//! Such loops need two: somebody who overwrites the Secret that cert-manager writes, two Certificates on one Secret, an
//! issuer whose certificates are over when they come. Each turn is a request to the issuer, and a rolling restart of the
//! pods. What is counted is what the API server shows: each new leaf in the Secret, and cert-manager's own count of
//! revisions. The count stands in the status of the Pgpool, in a write that the new leaf costs anyway: so an operator
//! that is restarted goes on counting, and a Pgpool at rest costs nothing.
//!
//! To stop means that nothing is asked for, and that our Certificate is withdrawn, for as long as it stands cert-manager
//! goes on by itself. The Secret stays, and the pods have copies. It goes on once somebody says so, by an annotation.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use operator_runtime::Lookup;
use shared_types::conditions::Reason;
use shared_types::pgpool::{CertificateChanges, CertificateStatus};
use shared_types::{Alias, Pgpool, names};

use super::apply::Problem;
use super::desired::{self, Desired};
use super::judge::{Finding, Judged};
use super::observe::{Child, Observed, foreign_writer};
use super::status::OwnStatus;

/// How often a certificate may change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How often it may be issued within the window.
    pub(crate) revisions: u32,
    /// How often somebody else may overwrite its Secret within the window.
    pub(crate) overwrites: u32,
    /// The window.
    pub(crate) window: Duration,
}

/// How often each certificate of a Pgpool changed of late.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Circuits(BTreeMap<Alias, CertificateChanges>);

/// What is seen of one certificate now.
struct Seen<'a> {
    /// Whether there is a Certificate: without one, the Secret is its owner's affair.
    asked_for: bool,
    fingerprint: Option<String>,
    revision: Option<i64>,
    writer: Option<&'a str>,
    resume: Option<&'a String>,
}

/// Counts what has changed since `current` was written.
pub(crate) fn count(
    pgpool: &Pgpool,
    current: &OwnStatus,
    observed: &Observed,
    judged: &[Judged],
    limits: &Limits,
    now: Timestamp,
) -> Circuits {
    let resume = pgpool.annotations().get(names::ANNOTATION_RESUME_CERTIFICATES);
    let changes = judged.iter().filter_map(|judged| {
        let before = current
            .certificates
            .iter()
            .find(|certificate| certificate.alias == judged.alias);
        let child = observed.children.get(&judged.alias)?;
        let seen = Seen {
            resume,
            ..seen(child, &judged.finding)?
        };
        Some((judged.alias, counted(before, &seen, limits, now)?))
    });
    Circuits(changes.collect())
}

/// What is seen of a certificate, unless that is nothing yet.
fn seen<'a>(child: &'a Child, finding: &Finding) -> Option<Seen<'a>> {
    let leaf = match finding {
        // Whoever holds it counts it.
        Finding::Contested { .. } | Finding::Pending | Finding::Forbidden => return None,
        Finding::Absent => None,
        Finding::Present { leaf, .. } => leaf.as_ref(),
    };
    let status = child
        .certificate
        .as_ref()
        .and_then(|certificate| certificate.status.as_ref());
    Some(Seen {
        asked_for: child.certificate.is_some(),
        fingerprint: leaf.map(|leaf| leaf.fingerprint.to_string()),
        revision: status.and_then(|status| status.revision),
        writer: foreign_writer(&child.secret),
        resume: None,
    })
}

fn counted(
    before: Option<&CertificateStatus>,
    seen: &Seen<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Option<CertificateChanges> {
    let old = before.and_then(|before| before.changes.as_ref());
    if let Some(stopped) = old.filter(|old| old.stopped.is_some()) {
        let resumed = seen.resume.is_some() && seen.resume != stopped.resume.as_ref();
        return Some(if resumed {
            afresh(seen, now)
        } else {
            stopped.clone()
        });
    }
    let told = before.and_then(|before| before.fingerprint.as_ref());
    let other = seen.fingerprint.as_ref() != told;
    let overwritten = other && seen.writer.is_some();
    let issued = other && !overwritten && seen.fingerprint.is_some();
    let running = old.filter(|old| is_within(old.since.0, limits.window, now));
    if !seen.asked_for || (!overwritten && !issued && running.is_none()) {
        // What is over is left as it stands, for that costs no write.
        return old.cloned();
    }
    let mut changes = running.cloned().unwrap_or_else(|| afresh(seen, now));
    let revisions = seen.revision.zip(changes.revision);
    let revisions = revisions.map_or(0, |(seen, first)| seen - first);
    changes.issued = (changes.issued + i64::from(issued)).max(revisions);
    changes.overwritten += i64::from(overwritten);
    if overwritten || issued {
        changes.revision = changes.revision.or(seen.revision);
    }
    changes.writer = seen.writer.map(str::to_owned).or(changes.writer);
    if changes.issued > i64::from(limits.revisions) || changes.overwritten > i64::from(limits.overwrites) {
        changes.stopped = Some(whole_second(now));
        changes.resume = seen.resume.cloned();
    }
    Some(changes)
}

/// A count that begins now.
fn afresh(seen: &Seen<'_>, now: Timestamp) -> CertificateChanges {
    CertificateChanges {
        since: whole_second(now),
        issued: 0,
        overwritten: 0,
        revision: seen.revision,
        writer: None,
        stopped: None,
        resume: None,
    }
}

/// A clock that was set back must not keep a window open for ever.
fn is_within(since: Timestamp, window: Duration, now: Timestamp) -> bool {
    now.duration_since(since).unsigned_abs() <= window
}

/// As the API server writes times.
fn whole_second(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// A certificate about which everything is stopped, as the status tells.
pub(crate) fn stopped(pgpool: &Pgpool) -> Option<Alias> {
    let mut told = pgpool.status.iter().flat_map(|status| &status.certificates);
    let is_stopped = |changes: &CertificateChanges| changes.stopped.is_some();
    let stopped = told.find(|told| told.changes.as_ref().is_some_and(is_stopped))?;
    Some(stopped.alias)
}

impl Circuits {
    /// Whether everything about a certificate is stopped.
    pub(crate) fn is_open(&self, alias: Alias) -> bool {
        self.0
            .get(&alias)
            .is_some_and(|changes| changes.stopped.is_some())
    }

    /// Takes out of what is desired what is stopped, and withdraws what keeps it going.
    pub(crate) fn hold_back(&self, pgpool: &Pgpool, observed: &Observed, desired: &mut Desired) {
        desired.certificates.retain(|(alias, _)| !self.is_open(*alias));
        let open = observed
            .children
            .iter()
            .filter(|(alias, _)| self.is_open(**alias));
        for certificate in open.filter_map(|(_, child)| desired::own(pgpool, child)) {
            if !desired.withdrawn.contains(certificate) {
                desired.withdrawn.push(certificate.clone());
            }
        }
    }

    /// What is told of the certificates that are stopped.
    pub(crate) fn problems(&self, pgpool: &Pgpool, observed: &Observed) -> BTreeMap<Alias, Problem> {
        let open = self.0.iter().filter(|(alias, _)| self.is_open(**alias));
        let problems = open.map(|(alias, changes)| {
            let secret = observed.children.get(alias).map(|child| &child.secret);
            let message = sentence(pgpool, *alias, changes, secret.is_some_and(is_present));
            let reason = Reason::CircuitOpen;
            (*alias, Problem { reason, message })
        });
        problems.collect()
    }

    /// The counts, for the status.
    pub(crate) fn into_changes(self) -> BTreeMap<Alias, CertificateChanges> {
        self.0
    }
}

fn is_present<K: kube::Resource<DynamicType = ()> + Clone>(found: &Lookup<K>) -> bool {
    matches!(found, Lookup::Present(_))
}

fn sentence(pgpool: &Pgpool, alias: Alias, changes: &CertificateChanges, present: bool) -> String {
    let (namespace, name) = (pgpool.namespace().unwrap_or_default(), pgpool.name_any());
    let secret = names::certificate_secret(pgpool, alias);
    let certificate = names::certificate(pgpool, alias);
    let times = |count: i64| {
        if count == 1 {
            "once".to_owned()
        } else {
            format!("{count} times")
        }
    };
    let issued = (changes.issued > 0).then(|| format!("issued {}", times(changes.issued)));
    let overwritten =
        (changes.overwritten > 0).then(|| format!("overwritten {}", times(changes.overwritten)));
    let history: Vec<_> = issued.into_iter().chain(overwritten).collect();
    let by = changes
        .writer
        .as_ref()
        .map(|writer| format!(", last by {writer:?},"));
    let cure = if changes.writer.is_some() {
        "keep that writer away from the Secret"
    } else {
        "find out why it is issued over and over: another Certificate with this secretName, an issuer whose \
         certificates are over at once, somebody who asks for it"
    };
    let kept = if present {
        " and the Secret is left as it is"
    } else {
        ""
    };
    format!(
        "Secret {namespace}/{secret} ({alias} certificate) was {}{} since {}: Certificate {namespace}/{certificate} is \
         withdrawn{kept}, running pods keep what they serve; {cure}, then resume: kubectl annotate pgpool {name} \
         --namespace {namespace} --overwrite {}=\"$(date +%s)\"",
        history.join(" and "),
        by.unwrap_or_default(),
        changes.since.0,
        names::ANNOTATION_RESUME_CERTIFICATES,
    )
}

#[cfg(test)]
mod tests;
