//! Which Pgpools an object concerns: from each watched object to those that have to be looked at again. Pure.
//!
//! What is generated for a Pgpool names it in a label, so that most events cost one look-up however many Pgpools
//! there are; only what a spec refers to by name is searched for.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use shared_types::conditions::{self, ConditionType, Reason};
use shared_types::{Alias, Pgpool, names};

use super::observe::{issuer_reference, may_collide};
use crate::cert_manager;

/// The Pgpool whose name an object bears in its labels: Secrets, Services, Certificates and their requests.
pub(crate) fn by_label(meta: &ObjectMeta) -> Option<ObjectRef<Pgpool>> {
    let instance = meta.labels.as_ref()?.get(names::LABEL_INSTANCE)?;
    Some(ObjectRef::new(instance).within(meta.namespace.as_deref()?))
}

/// The Pgpools that name this `Issuer`, or `ClusterIssuer`, for any of their certificates.
pub(crate) fn by_issuer(kind: &str, issuer: &ObjectMeta, pgpools: &[Arc<Pgpool>]) -> Vec<ObjectRef<Pgpool>> {
    let of_cluster = kind == "ClusterIssuer";
    let concerned = pgpools.iter().filter(|pgpool| {
        (of_cluster || pgpool.metadata.namespace == issuer.namespace)
            && Alias::ALL
                .iter()
                .filter_map(|alias| issuer_reference(pgpool, *alias))
                .any(|named| {
                    named.group == cert_manager::GROUP
                        && named.kind == kind
                        && Some(&named.name) == issuer.name.as_ref()
                })
    });
    references(concerned)
}

/// A Pgpool itself, and those that compete with it for the name of a Secret, or lost to somebody: a name may have
/// become free.
pub(crate) fn by_pgpool(changed: &Pgpool, pgpools: &[Arc<Pgpool>]) -> Vec<ObjectRef<Pgpool>> {
    let rivals = pgpools.iter().filter(|pgpool| {
        pgpool.metadata.namespace == changed.metadata.namespace
            && pgpool.metadata.name != changed.metadata.name
            && (lost_a_name(pgpool) || competes(pgpool, changed))
    });
    let mut concerned = vec![ObjectRef::from_obj(changed)];
    concerned.extend(references(rivals));
    concerned
}

/// Every Pgpool that asks for TLS: cert-manager has come or gone.
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

fn lost_a_name(pgpool: &Pgpool) -> bool {
    let conditions = pgpool
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice())
        .unwrap_or_default();
    let ready = conditions::find(conditions, ConditionType::CertificatesReady);
    ready.is_some_and(|ready| ready.reason == Reason::SecretNameConflict.as_str())
}

#[cfg(test)]
mod tests;
