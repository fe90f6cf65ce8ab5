//! Decides in which order certificates move from one CA to another: the server's and the exporter's first, then the
//! client's. Pure.
//!
//! Pods trust the CAs of all certificate Secrets. So when the server certificate comes from the new CA and the client
//! certificate still from the old one, every pod that has taken the former trusts both; only then may the latter change.
//! Pods take the exporter's certificate together with what they trust, so it never waits. Where the client certificate
//! alone gets a new issuer there is nothing to wait for: it is issued at once.
//!
//! Everything is derived from objects, so a restarted process continues where the last one stopped.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared_types::{Alias, Pgpool};
use tls_bundle::{ChainFault, Failure, Fingerprint, Leaf};

use super::verify::{Finding, Outdated, Verified, finding_of};
use crate::cert_manager::Certificate;
use crate::certificates::observe::{Child, Observed};
use crate::certificates::validate::{Order, Refusal, Validated, Wanted, place_of};

#[cfg(test)]
mod tests;

/// Pause after cert-manager has failed. Its own pause after a first failure is as long.
const AFTER_FAILURE: Duration = Duration::from_hours(1);

/// A Certificate to renew although its spec stays the same.
#[derive(Clone, Debug)]
pub(crate) struct Reissue {
    pub(crate) alias: Alias,
    pub(crate) certificate: Arc<Certificate>,
    /// The leaf certificate to replace.
    pub(crate) leaf: Fingerprint,
    /// Completes "renewed because …".
    pub(crate) why: String,
}

/// Holds the order of the client certificate back while it is not its turn.
pub(super) fn hold_back(pgpool: &Pgpool, validated: &mut Validated, verified: &[Verified], now: Timestamp) {
    let Some(refusal) = held_back(pgpool, validated, verified, now) else {
        return;
    };
    for wanted in &mut validated.wanted {
        if wanted.alias == Alias::Client && wanted.order.is_ok() {
            wanted.order = Err(refusal.clone());
        }
    }
}

/// The certificates of a replaced CA that are to be renewed now.
pub(super) fn reissues(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    verified: &[Verified],
    now: Timestamp,
) -> Vec<Reissue> {
    let reissues = validated.wanted.iter().filter_map(|wanted| {
        let child = observed.children.get(&wanted.alias)?;
        reissue(pgpool, wanted, child, finding_of(verified, wanted.alias)?, now)
    });
    reissues.collect()
}

/// Why the client certificate has to wait.
fn held_back(
    pgpool: &Pgpool,
    validated: &Validated,
    verified: &[Verified],
    now: Timestamp,
) -> Option<Refusal> {
    let wanted = |alias| validated.wanted.iter().find(|wanted| wanted.alias == alias);
    let (server, client) = (wanted(Alias::Server)?, wanted(Alias::Client)?);
    let issuer = client.issuer.as_ref()?;
    let Finding::Present {
        leaf: Some(leaf),
        failures,
        outdated: Some(_),
        ..
    } = finding_of(verified, Alias::Client)?
    else {
        return None;
    };
    // An invalid certificate is not worth keeping, and one that expires soon must not wait for pods that may never start.
    let can_wait = failures.is_empty() && now < renewal(leaf);
    // The server certificate makes pods trust its own CA only.
    let has_same_issuer = server.issuer.as_ref() == Some(issuer);
    let waits = can_wait && has_same_issuer && !is_served(pgpool, finding_of(verified, Alias::Server));
    waits.then(|| Refusal::HeldBack {
        certificate: format!("{}/{}", validated.parent.namespace, client.certificate),
        issuer: format!("{} {}", issuer.kind, place_of(pgpool, issuer)),
    })
}

/// Whether no pod is left that would reject certificates of the new CA: all serve the new server certificate, or none is
/// known to serve any.
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
    let lifetime = leaf.not_after.duration_since(leaf.not_before);
    let third = lifetime.checked_div(3).unwrap_or_default();
    leaf.not_after.checked_sub(third).unwrap_or(leaf.not_after)
}

/// A Certificate whose spec has changed is not renewed here: cert-manager issues it anyway.
fn reissue(
    pgpool: &Pgpool,
    wanted: &Wanted,
    child: &Child,
    finding: &Finding,
    now: Timestamp,
) -> Option<Reissue> {
    let order = wanted.order.as_ref().ok()?;
    let Finding::Present {
        leaf: Some(leaf),
        failures,
        outdated: Some(Outdated::Ca),
        ..
    } = finding
    else {
        return None;
    };
    let certificate = child.certificate.as_ref()?;
    let due = failures.iter().all(is_fixed_by_new_ca)
        && has_order(certificate, wanted, order)
        && !certificate.is_issuing()
        && !has_just_failed(certificate, now);
    due.then(|| Reissue {
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

/// Faults that a new certificate of the current CA fixes.
fn is_fixed_by_new_ca(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::ChainBroken {
            fault: ChainFault::CaExpired { .. }
        }
    )
}

fn has_order(certificate: &Certificate, wanted: &Wanted, order: &Order) -> bool {
    certificate.spec.issuer_ref == order.issuer && certificate.spec.secret_name == wanted.secret
}

fn has_just_failed(certificate: &Certificate, now: Timestamp) -> bool {
    let Some(issuing) = certificate.condition("Issuing") else {
        return false;
    };
    let Some(since) = &issuing.last_transition_time else {
        return false;
    };
    let passed = Duration::try_from(now.duration_since(since.0)).unwrap_or_default();
    !issuing.is_true() && passed < AFTER_FAILURE
}
