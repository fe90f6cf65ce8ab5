//! Decides which authorities stay trusted although no certificate Secret comes with them any more. Pure.
//!
//! When the issuer of certificates changes, or the CA behind it, certificates of the earlier one are still in the hands of
//! pods and clients. So what the running copy trusts is carried over into the next copy, until every pod serves that
//! which is wanted and then a time for clients to take up new certificates has passed. That time is counted from a note
//! on the copy, which is written when the last certificate of an authority is gone: a restarted operator goes on where
//! it was.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::args::duration_or_none;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use shared_types::{Alias, Pgpool, names};
use tls_bundle::Fingerprint;

use super::observe::Observed;
use super::rollout;

#[cfg(test)]
mod tests;

/// An authority that is trusted for what it has signed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Earlier {
    /// Its certificate.
    pub(crate) der: CertificateDer<'static>,
    /// Since when no certificate Secret comes with it.
    pub(crate) since: Timestamp,
}

/// The authorities in some PEM; what cannot be read is left out.
pub(crate) fn read(pem: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok)
}

/// How long they stay trusted: what the Pgpool says itself, else what holds for all. A note that cannot be read is as good
/// as none; [`unreadable_overlap`] tells it.
pub(crate) fn overlap(pgpool: &Pgpool, default: Duration) -> Duration {
    asked(pgpool)
        .and_then(|asked| duration_or_none(asked).ok())
        .unwrap_or(default)
}

/// What the Pgpool says about that time, where it makes no sense.
pub(crate) fn unreadable_overlap(pgpool: &Pgpool) -> Option<&str> {
    asked(pgpool).filter(|asked| duration_or_none(asked).is_err())
}

fn asked(pgpool: &Pgpool) -> Option<&str> {
    pgpool
        .annotations()
        .get(names::ANNOTATION_CA_OVERLAP)
        .map(String::as_str)
}

/// Gives what stays trusted beside the authorities `present` of the Secrets.
pub(crate) fn earlier(
    pgpool: &Pgpool,
    observed: &Observed,
    present: &[CertificateDer<'_>],
    backend: &[CertificateDer<'_>],
    now: Timestamp,
) -> Vec<Earlier> {
    let Some((name, copy)) = running(observed) else {
        return Vec::new();
    };
    let overlap = overlap(pgpool, observed.inputs.ca_overlap);
    let noted = noted(copy);
    let pem = copy.data.as_ref().and_then(|data| data.get("ca.pem"));
    let trusted: Vec<_> = pem.into_iter().flat_map(|pem| read(&pem.0)).collect();
    // Pods that do not trust the present ones yet are none that could do without the earlier.
    let settled = present.iter().all(|der| trusted.contains(der)) && is_settled(pgpool, observed, name);
    let gone = trusted.into_iter().filter(|der| !present.contains(der));
    let begin = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let earlier = gone.filter_map(|der| {
        let since = match &noted {
            // Authorities of PostgreSQL are not noted: what is behind the pool has other certificates at once.
            Some(noted) => noted
                .get(&Fingerprint::of_der(&der).to_string())?
                .unwrap_or(begin),
            // The copy is from before there were notes.
            None if backend.contains(&der) => return None,
            None => begin,
        };
        let over = settled && remaining(since, overlap, now).is_zero();
        (!over).then_some(Earlier { der, since })
    });
    earlier.collect()
}

/// When the first of them has been trusted for long enough, if that is to come.
pub(crate) fn due(
    pgpool: &Pgpool,
    observed: &Observed,
    earlier: &[Earlier],
    now: Timestamp,
) -> Option<Duration> {
    let overlap = overlap(pgpool, observed.inputs.ca_overlap);
    let left = earlier.iter().map(|it| remaining(it.since, overlap, now));
    // Over, and still there: the pods are not settled, and they tell when they are.
    left.filter(|left| !left.is_zero()).min()
}

/// Until when the pods accept certificates of an earlier authority, if they do.
pub(crate) fn accepted_until(pgpool: &Pgpool, observed: &Observed) -> Option<Timestamp> {
    let (_, copy) = running(observed)?;
    let latest = noted(copy)?.into_values().flatten().max()?;
    latest
        .checked_add(overlap(pgpool, observed.inputs.ca_overlap))
        .ok()
}

fn remaining(since: Timestamp, overlap: Duration, now: Timestamp) -> Duration {
    // A clock that was ahead when it was noted must not make this longer.
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    overlap.saturating_sub(passed)
}

/// Whether pods with this copy accept the client certificate that is issued now. Where they do not, its holders are
/// refused, and nothing that pods wait for is worth that.
pub(crate) fn knows_clients(observed: &Observed, copy: &Secret) -> bool {
    let entry = |secret: &Secret, key: &str| -> Vec<_> {
        let pem = secret.data.as_ref().and_then(|data| data.get(key));
        pem.into_iter().flat_map(|pem| read(&pem.0)).collect()
    };
    let trusted = entry(copy, "ca.pem");
    let clients = observed
        .certificates
        .iter()
        .filter(|it| it.alias == Alias::Client);
    let issued = clients.filter_map(|client| client.secret.present());
    issued
        .flat_map(|secret| entry(secret, "ca.crt"))
        .all(|authority| trusted.contains(&authority))
}

/// The note on a copy: the authorities of the Secrets, and those that stay trusted with the time of their last
/// certificate.
pub(crate) fn note(present: &[CertificateDer<'_>], earlier: &[Earlier]) -> String {
    let present = present
        .iter()
        .map(|der| (Fingerprint::of_der(der).to_string(), None));
    let earlier = earlier
        .iter()
        .map(|it| (Fingerprint::of_der(&it.der).to_string(), Some(it.since)));
    let all: BTreeMap<_, _> = earlier.chain(present).collect();
    let words = all.into_iter().map(|(fingerprint, since)| match since {
        Some(since) => format!("{fingerprint}@{since}"),
        None => fingerprint,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn noted(copy: &Secret) -> Option<BTreeMap<String, Option<Timestamp>>> {
    let note = copy.annotations().get(names::ANNOTATION_TRUSTED_CAS)?;
    let words = note.split_whitespace().map(|word| match word.split_once('@') {
        Some((fingerprint, since)) => (fingerprint.to_owned(), since.parse().ok()),
        None => (word.to_owned(), None),
    });
    Some(words.collect())
}

/// The copy that the workload mounts.
fn running(observed: &Observed) -> Option<(&str, &Secret)> {
    let name = rollout::certificates(observed.live.stateful_set.as_deref()?)?;
    Some((name, observed.live.tls_copies.get(name)?))
}

/// Whether every pod that there should be serves with that copy.
fn is_settled(pgpool: &Pgpool, observed: &Observed, copy: &str) -> bool {
    let serving = observed
        .pods
        .iter()
        .filter(|pod| pod.ready && pod.certificates.as_deref() == Some(copy));
    let others = observed
        .pods
        .iter()
        .filter_map(|pod| pod.certificates.as_deref())
        .any(|it| it != copy);
    let count = i32::try_from(serving.count()).unwrap_or(i32::MAX);
    !others && count >= pgpool.spec.replicas()
}
