//! Which objects to reconcile when another object changes. Pure.
//!
//! Generated objects name their Pgpool in a label, so most events cost one look-up however many Pgpools there are. Only
//! what a spec refers to by name is searched for.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use shared_types::conditions::{self, ConditionType, Reason};
use shared_types::ops_request::OpsType;
use shared_types::{Alias, Pgpool, PgpoolOpsRequest, PgpoolOpsRequestStatus, limits, names};

use crate::cert_manager::{self, IssuerReference};
use crate::ops_requests::competing_request::{CompetingRequest, RequestState, finished};

/// The Pgpool that the labels of an object name: Secrets, Services, Certificates and their requests.
pub(crate) fn by_label(meta: &ObjectMeta) -> Option<ObjectRef<Pgpool>> {
    let instance = meta.labels.as_ref()?.get(names::LABEL_INSTANCE)?;
    Some(ObjectRef::new(instance).within(meta.namespace.as_deref()?))
}

/// The Pgpools that name this `Issuer`, or `ClusterIssuer`, for any of their certificates.
pub(crate) fn by_issuer(kind: &str, issuer: &ObjectMeta, pgpools: &[Arc<Pgpool>]) -> Vec<ObjectRef<Pgpool>> {
    let of_cluster = kind == "ClusterIssuer";
    let concerned = pgpools.iter().filter(|pgpool| {
        (of_cluster || pgpool.metadata.namespace == issuer.namespace)
            && IssuerReference::all_of(pgpool).any(|named| {
                named.group == cert_manager::GROUP
                    && named.kind == kind
                    && Some(&named.name) == issuer.name.as_ref()
            })
    });
    references(concerned)
}

/// A Pgpool itself, those that name one of its certificate Secrets, and those with condition reason
/// `SecretNameConflict`: a name may have become free.
pub(crate) fn by_pgpool(changed: &Pgpool, pgpools: &[Arc<Pgpool>]) -> Vec<ObjectRef<Pgpool>> {
    let others = pgpools.iter().filter(|pgpool| {
        pgpool.metadata.namespace == changed.metadata.namespace
            && pgpool.metadata.name != changed.metadata.name
            && (has_name_conflict(pgpool) || competes(pgpool, changed))
    });
    let mut concerned = vec![ObjectRef::from_obj(changed)];
    concerned.extend(references(others));
    concerned
}

/// Every Pgpool with TLS: cert-manager was installed or removed.
pub(crate) fn by_cert_manager(pgpools: &[Arc<Pgpool>]) -> Vec<ObjectRef<Pgpool>> {
    references(pgpools.iter().filter(|pgpool| pgpool.spec.tls.is_some()))
}

fn references<'a>(pgpools: impl Iterator<Item = &'a Arc<Pgpool>>) -> Vec<ObjectRef<Pgpool>> {
    pgpools
        .map(|pgpool| ObjectRef::from_obj(pgpool.as_ref()))
        .collect()
}

fn competes(one: &Pgpool, other: &Pgpool) -> bool {
    let secrets = |pgpool| Alias::ALL.map(|alias| names::certificate_secret(pgpool, alias));
    may_collide(one, other) && {
        let theirs = secrets(other);
        secrets(one).iter().any(|secret| theirs.contains(secret))
    }
}

fn has_name_conflict(pgpool: &Pgpool) -> bool {
    let status = pgpool.status.as_ref();
    let ready =
        status.and_then(|status| conditions::find(&status.conditions, ConditionType::CertificatesReady));
    ready.is_some_and(|ready| ready.reason == Reason::SecretNameConflict.as_str())
}

/// Whether two Pgpools could name the same certificate Secret. Default names of two Pgpools differ unless they are cut,
/// so that most pairs are distinguished without building any name.
pub(crate) fn may_collide(one: &Pgpool, other: &Pgpool) -> bool {
    one.metadata.namespace == other.metadata.namespace
        && one.metadata.name != other.metadata.name
        && one.spec.tls.is_some()
        && other.spec.tls.is_some()
        && (has_special_names(one) || has_special_names(other))
}

fn has_special_names(pgpool: &Pgpool) -> bool {
    const SUFFIX: usize = "-metrics-exporter-cert".len();
    let name = pgpool.metadata.name.as_ref();
    let is_cut = name.is_some_and(|name| name.len() > names::MAX_LENGTH.saturating_sub(SUFFIX));
    let mut certificates = pgpool.spec.tls.iter().flat_map(|tls| &tls.certificates);
    is_cut || certificates.any(|certificate| certificate.secret_name.is_some())
}

pub(crate) fn pgpool_of(request: &PgpoolOpsRequest) -> ObjectRef<Pgpool> {
    let namespace = request.metadata.namespace.as_deref().unwrap_or_default();
    ObjectRef::new(&request.spec.database_ref.name).within(namespace)
}

/// The requests to reconcile when one for a Pgpool has changed: itself, the one that may be next, the one that it
/// replaces, and the oldest that has finished if there are too many. `all` are those for the Pgpool.
pub(crate) fn by_request(
    changed: &PgpoolOpsRequest,
    all: &[Arc<PgpoolOpsRequest>],
) -> Vec<ObjectRef<PgpoolOpsRequest>> {
    let mut concerned = vec![ObjectRef::from_obj(changed)];
    for request in next_requests(all) {
        if !concerned.contains(&request) {
            concerned.push(request);
        }
    }
    let other = replaced(changed, all).or_else(|| surplus(all));
    if let Some(other) = other
        && !concerned.contains(&other)
    {
        concerned.push(other);
    }
    concerned
}

/// The requests for a Pgpool that may continue when something else changes: the one that runs; while none does, the first
/// one that waits for its turn and those that wait for their Pgpool.
pub(crate) fn next_requests(all: &[Arc<PgpoolOpsRequest>]) -> Vec<ObjectRef<PgpoolOpsRequest>> {
    let competing: Vec<_> = all.iter().map(|request| (competing(request), request)).collect();
    let running: Vec<_> = competing
        .iter()
        .filter(|(other, _)| other.state == RequestState::Running)
        .collect();
    let mut next = running;
    if next.is_empty() {
        let waiting = competing
            .iter()
            .filter(|(other, _)| other.state == RequestState::Waiting);
        let held = competing
            .iter()
            .filter(|(other, _)| other.state == RequestState::Held);
        next.extend(waiting.min_by_key(|(other, _)| other.order()));
        next.extend(held);
    }
    next.into_iter()
        .map(|(_, request)| ObjectRef::from_obj(request.as_ref()))
        .collect()
}

/// The request of the same type before this one, which has not started.
fn replaced(
    changed: &PgpoolOpsRequest,
    all: &[Arc<PgpoolOpsRequest>],
) -> Option<ObjectRef<PgpoolOpsRequest>> {
    let me = competing(changed);
    if !me.is_waiting() || me.type_ == OpsType::Reconfigure {
        return None;
    }
    let before = all
        .iter()
        .map(|request| (competing(request), request))
        .filter(|(other, _)| other.type_ == me.type_ && other.is_waiting() && me.is_newer_than(other));
    let before = before.max_by(|(a, _), (b, _)| a.order().cmp(&b.order()));
    before.map(|(_, request)| ObjectRef::from_obj(request.as_ref()))
}

/// The request that finished first, if too many have.
fn surplus(all: &[Arc<PgpoolOpsRequest>]) -> Option<ObjectRef<PgpoolOpsRequest>> {
    let ended: Vec<_> = all.iter().filter(|request| finished(request).is_some()).collect();
    if ended.len() <= limits::FINISHED_REQUESTS {
        return None;
    }
    let oldest = ended.into_iter().min_by_key(|request| finished(request));
    oldest.map(|request| ObjectRef::from_obj(request.as_ref()))
}

fn competing(request: &PgpoolOpsRequest) -> CompetingRequest {
    let unset = PgpoolOpsRequestStatus::default();
    CompetingRequest::new(request, request.status.as_ref().unwrap_or(&unset))
}

#[cfg(test)]
mod tests;
