//! CA overlap: decides which former CAs stay trusted although no certificate Secret contains them any more. Pure.
//!
//! When the issuer of certificates changes, or the CA behind it, pods and clients still have certificates of the former CA.
//! So the CAs that the current TLS copy trusts are carried over into the next one, until every pod serves the new
//! certificate and the overlap has passed after that, in which clients take new certificates. The overlap counts from an
//! annotation of the TLS copy, which is written when the last certificate of a CA is gone: a restarted operator continues
//! where it was.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::args::duration_or_none;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use shared_types::pgpool::bounded_annotation;
use shared_types::{Alias, Pgpool, names};
use tls_bundle::Fingerprint;

use super::tls_copy::{FormerCa, TlsMaterial};
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::observe::{CertificateRevision, Observed};
use crate::pgpool::validate::Validated;

#[cfg(test)]
mod tests;

/// The CAs in some PEM; what cannot be read is left out.
pub(crate) fn read(pem: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok)
}

/// How long former CAs stay trusted: the annotation of the Pgpool, else the default. An annotation that cannot be read does
/// not count; [`unreadable_overlap`] reports it.
pub(crate) fn overlap(pgpool: &Pgpool, default: Duration) -> Duration {
    overlap_annotation(pgpool)
        .and_then(|text| duration_or_none(&text).ok())
        .unwrap_or(default)
}

/// The annotation about the overlap, if it cannot be read.
pub(crate) fn unreadable_overlap(pgpool: &Pgpool) -> Option<Cow<'_, str>> {
    overlap_annotation(pgpool).filter(|text| duration_or_none(text).is_err())
}

fn overlap_annotation(pgpool: &Pgpool) -> Option<Cow<'_, str>> {
    bounded_annotation(pgpool, names::ANNOTATION_CA_OVERLAP)
}

/// The CAs of all certificates that are shown to the pool. That of the server certificate is one of them only if its issuer
/// issues client certificates, too: then it may be the next CA of clients.
pub(crate) fn client_cas(validated: &Validated, material: &TlsMaterial<'_>) -> Vec<CertificateDer<'static>> {
    let server = Some(material.ca).filter(|_| validated.server_issuer_signs_clients);
    let all = [material.client_ca, material.exporter_ca]
        .into_iter()
        .chain(server);
    all.flat_map(read).collect()
}

/// The CAs that stay trusted beside the CAs `present` in the Secrets.
pub(super) fn former_cas(
    pgpool: &Pgpool,
    observed: &Observed,
    present: &[CertificateDer<'_>],
    backend: &[CertificateDer<'_>],
    now: Timestamp,
) -> Vec<FormerCa> {
    let Some((revision, copy)) = running(observed) else {
        return Vec::new();
    };
    let overlap = overlap(pgpool, observed.inputs.ca_overlap);
    let recorded = recorded(copy);
    let pem = copy.data.as_ref().and_then(|data| data.get("ca.pem"));
    let trusted: Vec<_> = pem.into_iter().flat_map(|pem| read(&pem.0)).collect();
    // Pods that do not trust the present CAs yet still need the former ones.
    let known: HashSet<&[u8]> = trusted.iter().map(AsRef::as_ref).collect();
    let settled =
        present.iter().all(|der| known.contains(der.as_ref())) && is_settled(pgpool, observed, &revision);
    let current: HashSet<&[u8]> = present.iter().map(AsRef::as_ref).collect();
    let backend: HashSet<&[u8]> = backend.iter().map(AsRef::as_ref).collect();
    let gone = trusted.iter().filter(|der| !current.contains(der.as_ref()));
    let begin = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let earlier = gone.filter_map(|der| {
        let since = match &recorded {
            // CAs of PostgreSQL are not recorded: the servers behind the pool change certificates at once.
            Some(recorded) => recorded
                .get(&Fingerprint::of_der(der).to_string())?
                .unwrap_or(begin),
            // A TLS copy without the annotation.
            None if backend.contains(der.as_ref()) => return None,
            None => begin,
        };
        let over = settled && remaining(since, overlap, now).is_zero();
        (!over).then(|| FormerCa {
            der: der.clone(),
            since,
        })
    });
    earlier.collect()
}

/// When the overlap of the first of them ends, if it has not ended.
pub(super) fn due(
    pgpool: &Pgpool,
    observed: &Observed,
    former_cas: &[FormerCa],
    now: Timestamp,
) -> Option<Duration> {
    let overlap = overlap(pgpool, observed.inputs.ca_overlap);
    let left = former_cas.iter().map(|it| remaining(it.since, overlap, now));
    // Ended, and still trusted: pods have to change first, which triggers a reconcile.
    left.filter(|left| !left.is_zero()).min()
}

/// The time until which pods accept certificates of a former CA, if they do.
pub(crate) fn accepted_until(pgpool: &Pgpool, observed: &Observed) -> Option<Timestamp> {
    let (_, copy) = running(observed)?;
    let latest = recorded(copy)?.into_values().flatten().max()?;
    latest
        .checked_add(overlap(pgpool, observed.inputs.ca_overlap))
        .ok()
}

fn remaining(since: Timestamp, overlap: Duration, now: Timestamp) -> Duration {
    // A clock that was ahead when the time was recorded must not make the overlap longer.
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    overlap.saturating_sub(passed)
}

/// Whether pods with this TLS copy accept the current client certificate. Where they do not, clients are rejected, so pods
/// must not wait.
pub(crate) fn knows_clients(observed: &Observed, copy: &Secret) -> bool {
    let entry = |secret: &Secret, key: &str| -> Vec<_> {
        let pem = secret.data.as_ref().and_then(|data| data.get(key));
        pem.into_iter().flat_map(|pem| read(&pem.0)).collect()
    };
    let trusted = entry(copy, "ca.pem");
    let trusted: HashSet<&[u8]> = trusted.iter().map(AsRef::as_ref).collect();
    let clients = observed
        .certificates
        .iter()
        .filter(|it| it.alias == Alias::Client);
    let issued = clients.filter_map(|client| client.secret.present());
    issued
        .flat_map(|secret| entry(secret, "ca.crt"))
        .all(|ca| trusted.contains(ca.as_ref()))
}

/// The annotation of a TLS copy: the CAs of the Secrets, and the former CAs with the time since when they are.
pub(crate) fn annotation(present: &[CertificateDer<'_>], former_cas: &[FormerCa]) -> String {
    let present = present
        .iter()
        .map(|der| (Fingerprint::of_der(der).to_string(), None));
    let former_cas = former_cas
        .iter()
        .map(|it| (Fingerprint::of_der(&it.der).to_string(), Some(it.since)));
    let all: BTreeMap<_, _> = former_cas.chain(present).collect();
    let words = all.into_iter().map(|(fingerprint, since)| match since {
        Some(since) => format!("{fingerprint}@{since}"),
        None => fingerprint,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn recorded(copy: &Secret) -> Option<BTreeMap<String, Option<Timestamp>>> {
    let note = copy.annotations().get(names::ANNOTATION_TRUSTED_CAS)?;
    let words = note.split_whitespace().map(|word| match word.split_once('@') {
        Some((fingerprint, since)) => (fingerprint.to_owned(), since.parse().ok()),
        None => (word.to_owned(), None),
    });
    Some(words.collect())
}

/// The TLS copy of the workload.
fn running(observed: &Observed) -> Option<(CertificateRevision, &Secret)> {
    let revision = CertificateRevision::of_workload(observed.live.stateful_set.as_deref()?)?;
    let copy = observed.live.tls_copies.get(&revision)?;
    Some((revision, copy))
}

/// Whether all replicas serve with that revision.
fn is_settled(pgpool: &Pgpool, observed: &Observed, next: &CertificateRevision) -> bool {
    let mut revisions = observed.pods.iter().filter_map(PodFacts::certificate_revision);
    if revisions.any(|revision| revision != next) {
        return false;
    }
    let ready = observed.pods.iter().filter(|pod| pod.ready);
    let serving = ready
        .filter(|pod| pod.certificate_revision() == Some(next))
        .count();
    i32::try_from(serving).unwrap_or(i32::MAX) >= pgpool.spec.replicas()
}
