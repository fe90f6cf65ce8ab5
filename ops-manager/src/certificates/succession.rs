//! Decides in which order certificates pass from one authority to another: those that pods serve and show first, then the
//! one that clients show. Pure.
//!
//! Pods trust the authorities of all certificate Secrets. So when the server certificate comes from the new authority and
//! the client certificate still from the old one, every pod that has taken over the former trusts both; only then may the
//! latter change. Pods take the exporter's certificate over together with what they trust, so that it never waits. Where
//! the client certificate alone gets a new issuer there is nothing that could go before: it is issued at once.
//!
//! Everything is read off objects, so that a process which starts in the middle goes on where another one ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared_types::{Alias, Pgpool};
use tls_bundle::{ChainFault, Failure, Fingerprint, Leaf};

use super::judge::{Finding, Judged, Outdated};
use super::observe::{Child, Observed};
use super::reissue;
use super::validate::{Needed, Order, Refusal, Wanted, place_of};
use crate::cert_manager::Certificate;

#[cfg(test)]
mod tests;

/// How long after cert-manager has failed it is asked again. Its own pause after a first failure is as long.
const AFTER_FAILURE: Duration = Duration::from_hours(1);

/// A certificate that has to be issued anew although nothing new is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    /// Which.
    pub(crate) alias: Alias,
    /// As it was seen.
    pub(crate) certificate: Arc<Certificate>,
    /// The leaf that is to be replaced.
    pub(crate) leaf: Fingerprint,
    /// Completes "asked for anew because …".
    pub(crate) why: String,
}

/// Holds the client certificate back in `needed` while its turn has not come, and gives the certificates that are to be
/// issued anew now.
pub(crate) fn arrange(
    pgpool: &Pgpool,
    needed: &mut Needed,
    observed: &Observed,
    judged: &[Judged],
    now: Timestamp,
) -> Vec<Replaced> {
    if let Some(refusal) = held_back(pgpool, needed, judged, now) {
        let client = needed
            .wanted
            .iter_mut()
            .find(|wanted| wanted.alias == Alias::Client);
        if let Some(client) = client.filter(|client| client.order.is_ok()) {
            client.order = Err(refusal);
        }
    }
    let wanted = needed.wanted.iter();
    let replaced = wanted.filter_map(|wanted| {
        let child = observed.children.get(&wanted.alias)?;
        replaced(pgpool, wanted, child, found(judged, wanted.alias)?, now)
    });
    replaced.collect()
}

/// Why the client certificate has to wait, if it has.
fn held_back(pgpool: &Pgpool, needed: &Needed, judged: &[Judged], now: Timestamp) -> Option<Refusal> {
    let wanted = |alias| needed.wanted.iter().find(|wanted| wanted.alias == alias);
    let (server, client) = (wanted(Alias::Server)?, wanted(Alias::Client)?);
    let issuer = client.issuer.as_ref()?;
    let Finding::Present {
        leaf: Some(leaf),
        failures,
        outdated: Some(_),
    } = found(judged, Alias::Client)?
    else {
        return None;
    };
    // What is no good is not worth keeping, and what ends soon must not wait for pods that may never come.
    let keeps = failures.is_empty() && now < renewal(leaf);
    // The server certificate makes no other authority known than its own.
    let goes_before = server.issuer.as_ref() == Some(issuer);
    let waits = keeps && goes_before && !is_served(pgpool, found(judged, Alias::Server));
    waits.then(|| Refusal::HeldBack {
        certificate: format!("{}/{}", needed.parent.namespace, client.certificate),
        issuer: format!("{} {}", issuer.kind, place_of(pgpool, issuer)),
    })
}

/// Whether no pod is left that would refuse what the new authority signs: all of them serve the new server certificate,
/// or none is known to serve any.
fn is_served(pgpool: &Pgpool, server: Option<&Finding>) -> bool {
    let replicas = pgpool.spec.replicas();
    let pods = pgpool.status.iter().flat_map(|status| &status.pods);
    let served: Vec<_> = pods
        .filter(|pod| ordinal(&pod.name).is_some_and(|ordinal| ordinal < replicas))
        .filter_map(|pod| pod.served_fingerprint.as_deref())
        .collect();
    if served.is_empty() {
        return true;
    }
    let Some(Finding::Present {
        leaf: Some(leaf),
        outdated: None,
        ..
    }) = server
    else {
        return false;
    };
    let new = leaf.fingerprint.to_string();
    let count = served.iter().filter(|served| **served == new).count();
    i32::try_from(count).is_ok_and(|count| count >= replicas)
}

fn ordinal(pod: &str) -> Option<i32> {
    pod.rsplit('-').next()?.parse().ok()
}

/// When cert-manager renews by default: after two thirds of the validity.
fn renewal(leaf: &Leaf) -> Timestamp {
    let third = leaf.not_after.duration_since(leaf.not_before) / 3;
    leaf.not_after.checked_sub(third).unwrap_or(leaf.not_after)
}

/// A certificate of a CA that its issuer has no more. One that differs in what it asks for is issued anew anyway.
fn replaced(
    pgpool: &Pgpool,
    wanted: &Wanted,
    child: &Child,
    finding: &Finding,
    now: Timestamp,
) -> Option<Replaced> {
    let order = wanted.order.as_ref().ok()?;
    let Finding::Present {
        leaf: Some(leaf),
        failures,
        outdated: Some(Outdated::Authority),
    } = finding
    else {
        return None;
    };
    let certificate = child.certificate.as_ref()?;
    let due = failures.iter().all(is_of_the_authority)
        && asks_for(certificate, wanted, order)
        && !reissue::is_issuing(certificate)
        && !has_just_failed(certificate, now);
    due.then(|| Replaced {
        alias: wanted.alias,
        certificate: Arc::clone(certificate),
        leaf: leaf.fingerprint,
        why: format!(
            "the CA of {} {} has been replaced",
            order.issuer.kind,
            place_of(pgpool, &order.issuer)
        ),
    })
}

/// Faults that a new certificate of the present CA mends. Others have other causes.
fn is_of_the_authority(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::ChainBroken {
            fault: ChainFault::CaExpired { .. }
        }
    )
}

fn asks_for(certificate: &Certificate, wanted: &Wanted, order: &Order) -> bool {
    certificate.spec.issuer_ref == order.issuer && certificate.spec.secret_name == wanted.secret
}

fn has_just_failed(certificate: &Certificate, now: Timestamp) -> bool {
    let failed = certificate
        .condition("Issuing")
        .filter(|issuing| !issuing.is_true());
    let since = failed.and_then(|failed| failed.last_transition_time.as_ref());
    let passed = since.map(|since| Duration::try_from(now.duration_since(since.0)).unwrap_or_default());
    passed.is_some_and(|passed| passed < AFTER_FAILURE)
}

fn found(judged: &[Judged], alias: Alias) -> Option<&Finding> {
    let mut judged = judged.iter().filter(|judged| judged.alias == alias);
    judged.next().map(|judged| &judged.finding)
}
