//! The circuit breaker: detects a certificate that keeps changing, and stops requesting it. Pure.
//!
//! Such loops have two parties: another writer that overwrites the Secret, two Certificates with one Secret, an issuer
//! whose certificates have expired when they are issued. Each round costs a request to the issuer and a rolling restart
//! of the pods. What is counted is what the API server shows: each new leaf certificate in the Secret, and cert-manager's
//! own count of revisions. The counts are stored in the status of the Pgpool, in a write that a new leaf certificate
//! causes anyway: a restarted operator continues to count, and a Pgpool at rest costs nothing.
//!
//! While the circuit is open nothing is requested and our Certificate is deleted, because cert-manager would continue for
//! as long as it exists. The Secret stays, and pods have copies. A person closes the circuit with an annotation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use operator_runtime::Lookup;
use shared_types::conditions::Reason;
use shared_types::explanation::Explanation;
use shared_types::pgpool::{CertificateChanges, CertificateStatus, bounded_annotation};
use shared_types::{Alias, Pgpool, names};

use super::verify::{Finding, Verified};
use crate::certificates::observe::{Child, Observed, foreign_writer};
use crate::certificates::own_status::OwnStatus;

/// How often a certificate may change within the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How often it may be issued.
    pub(crate) revisions: u32,
    /// How often someone other than cert-manager may overwrite its Secret.
    pub(crate) overwrites: u32,
    pub(crate) window: Duration,
}

/// The recent changes of each certificate of a Pgpool.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Circuits(BTreeMap<Alias, CertificateChanges>);

/// One certificate now.
struct Seen<'a> {
    /// A Certificate exists. Without one the Secret belongs to the user, who may change it as often as he likes.
    has_certificate: bool,
    fingerprint: Option<String>,
    revision: Option<i64>,
    writer: Option<&'a str>,
    resume: Option<Cow<'a, str>>,
}

/// Counts what has changed since the status `current` was written.
pub(crate) fn count(
    pgpool: &Pgpool,
    current: &OwnStatus,
    observed: &Observed,
    verified: &[Verified],
    limits: &Limits,
    now: Timestamp,
) -> Circuits {
    let resume = bounded_annotation(pgpool, names::ANNOTATION_RESUME_CERTIFICATES);
    let changes = verified.iter().filter_map(|verified| {
        let before = current
            .certificates
            .iter()
            .find(|certificate| certificate.alias == verified.alias);
        let child = observed.children.get(&verified.alias)?;
        let seen = Seen {
            resume: resume.clone(),
            ..seen(child, &verified.finding)?
        };
        Some((verified.alias, counted(before, &seen, limits, now)?))
    });
    Circuits(changes.collect())
}

/// `None` while nothing is known of the certificate.
fn seen<'a>(child: &'a Child, finding: &Finding) -> Option<Seen<'a>> {
    let leaf = match finding {
        // The Pgpool that holds it counts it.
        Finding::Contested { .. } | Finding::Pending | Finding::Forbidden => return None,
        Finding::Absent => None,
        Finding::Present { leaf, .. } => leaf.as_ref(),
    };
    let status = child
        .certificate
        .as_ref()
        .and_then(|certificate| certificate.status.as_ref());
    Some(Seen {
        has_certificate: child.certificate.is_some(),
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
        let resumed = seen.resume.is_some() && seen.resume.as_deref() != stopped.resume.as_deref();
        return Some(if resumed {
            new_count(seen, now)
        } else {
            stopped.clone()
        });
    }
    let fingerprint_before = before.and_then(|before| before.fingerprint.as_ref());
    let changed = seen.fingerprint.as_ref() != fingerprint_before;
    let overwritten = changed && seen.writer.is_some();
    let issued = changed && !overwritten && seen.fingerprint.is_some();
    let running = old.filter(|old| is_within(old.since.0, limits.window, now));
    if !seen.has_certificate || (!overwritten && !issued && running.is_none()) {
        // Counts of an earlier window stay as they are: to remove them would cost a write.
        return old.cloned();
    }
    let mut changes = running.cloned().unwrap_or_else(|| new_count(seen, now));
    let revisions = seen.revision.zip(changes.revision);
    let revisions = revisions.map_or(0, |(seen, first)| seen.saturating_sub(first));
    changes.issued = changes.issued.saturating_add(issued.into()).max(revisions);
    changes.overwritten = changes.overwritten.saturating_add(overwritten.into());
    if overwritten || issued {
        changes.revision = changes.revision.or(seen.revision);
    }
    changes.writer = seen.writer.map(str::to_owned).or(changes.writer);
    if changes.issued > i64::from(limits.revisions) || changes.overwritten > i64::from(limits.overwrites) {
        changes.stopped = Some(whole_second(now));
        changes.resume = seen.resume.as_deref().map(str::to_owned);
    }
    Some(changes)
}

fn new_count(seen: &Seen<'_>, now: Timestamp) -> CertificateChanges {
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

/// In either direction: a clock that was set back must not keep a window open.
fn is_within(since: Timestamp, window: Duration, now: Timestamp) -> bool {
    now.duration_since(since).unsigned_abs() <= window
}

/// The API server stores times in whole seconds.
fn whole_second(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// A certificate whose circuit is open according to the status.
pub(crate) fn open_circuit(pgpool: &Pgpool) -> Option<Alias> {
    let mut certificates = pgpool.status.iter().flat_map(|status| &status.certificates);
    let open = certificates.find(|certificate| certificate.changes.as_ref().is_some_and(is_open))?;
    Some(open.alias)
}

fn is_open(changes: &CertificateChanges) -> bool {
    changes.stopped.is_some()
}

impl Circuits {
    pub(crate) fn is_open(&self, alias: Alias) -> bool {
        self.0.get(&alias).is_some_and(is_open)
    }

    pub(crate) fn explanations(&self, pgpool: &Pgpool, observed: &Observed) -> BTreeMap<Alias, Explanation> {
        let open = self.0.iter().filter(|(_, changes)| is_open(changes));
        let explanations = open.map(|(alias, changes)| {
            let secret = observed.children.get(alias).map(|child| &child.secret);
            let is_present = matches!(secret, Some(Lookup::Present(_)));
            let message = message(pgpool, *alias, changes, is_present);
            (*alias, Explanation::new(Reason::CircuitOpen, message))
        });
        explanations.collect()
    }

    /// For the status.
    pub(crate) fn into_changes(self) -> BTreeMap<Alias, CertificateChanges> {
        self.0
    }
}

fn message(pgpool: &Pgpool, alias: Alias, changes: &CertificateChanges, present: bool) -> String {
    let (namespace, name) = (pgpool.namespace().unwrap_or_default(), pgpool.name_any());
    let secret = names::certificate_secret(pgpool, alias);
    let certificate = names::certificate(pgpool, alias);
    let mut history = Vec::new();
    if changes.issued > 0 {
        history.push(format!("issued {}", times(changes.issued)));
    }
    if changes.overwritten > 0 {
        history.push(format!("overwritten {}", times(changes.overwritten)));
    }
    let (by, fix) = match &changes.writer {
        Some(writer) => (
            format!(", last by {writer:?},"),
            "stop that writer from changing the Secret",
        ),
        None => (
            String::new(),
            "find out why it keeps being issued: another Certificate with this secretName, an issuer whose certificates \
             expire immediately, or a client that keeps requesting it",
        ),
    };
    let kept = if present {
        " and the Secret is left as it is"
    } else {
        ""
    };
    format!(
        "Secret {namespace}/{secret} ({alias} certificate) was {}{by} since {}: Certificate {namespace}/{certificate} is \
         deleted{kept}, running pods keep the certificate they serve; {fix}, then resume: kubectl annotate pgpool {name} \
         --namespace {namespace} --overwrite {}=\"$(date +%s)\"",
        history.join(" and "),
        changes.since.0,
        names::ANNOTATION_RESUME_CERTIFICATES,
    )
}

fn times(count: i64) -> String {
    if count == 1 {
        "once".to_owned()
    } else {
        format!("{count} times")
    }
}

#[cfg(test)]
mod tests;
