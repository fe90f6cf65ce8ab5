//! Which objects to reconcile when another object changes. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use shared_types::{AppBinding, Pgpool, names};

use crate::across_namespaces::{AcrossNamespaces, Refused};

#[cfg(test)]
mod tests;

/// The `Pgpool` that an object was created for, by its labels. The pod of a config check has a label of its own.
pub(crate) fn by_label(meta: &ObjectMeta) -> Option<ObjectRef<Pgpool>> {
    let labels = meta.labels.as_ref()?;
    if labels.get(names::LABEL_NAME).map(String::as_str) != Some(names::APPLICATION) {
        return None;
    }
    let instance = labels
        .get(names::LABEL_INSTANCE)
        .or_else(|| labels.get(names::LABEL_CONFIG_CHECK_OF))?;
    Some(ObjectRef::new(instance).within(meta.namespace.as_deref()?))
}

/// The `Pgpool`s that run a version.
pub(crate) fn by_version(version: &ObjectMeta, pgpools: &[Arc<Pgpool>]) -> Vec<ObjectRef<Pgpool>> {
    let is_named = |pgpool: &&Arc<Pgpool>| Some(&pgpool.spec.version) == version.name.as_ref();
    let users = pgpools.iter().filter(is_named);
    users.map(|pgpool| ObjectRef::from_obj(pgpool.as_ref())).collect()
}

/// The `Pgpool`s in front of the PostgreSQL of an `AppBinding`, and the one that the `AppBinding` describes. One that was
/// refused the use of it notices a change only if that is its consent.
pub(crate) fn by_app_binding(
    binding: &AppBinding,
    pgpools: &[Arc<Pgpool>],
    across: AcrossNamespaces,
    refused: &Refused,
) -> Vec<ObjectRef<Pgpool>> {
    let (namespace, name) = (binding.namespace(), binding.name_any());
    let users = pgpools
        .iter()
        .filter(|pgpool| is_in_front_of(pgpool, namespace.as_ref(), &name))
        .map(|pgpool| (ObjectRef::from_obj(pgpool.as_ref()), pgpool))
        .filter(|(key, pgpool)| !refused.contains(key) || across.permits(pgpool, Some(binding)));
    users
        .map(|(key, _)| key)
        .chain(by_label(binding.meta()))
        .collect()
}

/// As [`by_app_binding`], for one that is left out. Whether it is a consent is not known, so that whoever was refused
/// notices nothing.
pub(crate) fn by_app_binding_left_out(
    binding: &ObjectMeta,
    pgpools: &[Arc<Pgpool>],
    refused: &Refused,
) -> Vec<ObjectRef<Pgpool>> {
    let name = binding.name.as_deref().unwrap_or_default();
    let users = pgpools
        .iter()
        .filter(|pgpool| is_in_front_of(pgpool, binding.namespace.as_ref(), name))
        .map(|pgpool| ObjectRef::from_obj(pgpool.as_ref()))
        .filter(|key| !refused.contains(key));
    users.chain(by_label(binding)).collect()
}

/// The `Pgpool`s that sync the users of a PostgreSQL, and may.
pub(crate) fn by_user_secret(
    secret: &Secret,
    pgpools: &[Arc<Pgpool>],
    refused: &Refused,
) -> Vec<ObjectRef<Pgpool>> {
    let namespace = secret.namespace();
    let Some(instance) = secret.labels().get(names::LABEL_INSTANCE) else {
        return Vec::new();
    };
    pgpools
        .iter()
        .filter(|pgpool| pgpool.spec.sync_users == Some(true))
        .filter(|pgpool| is_in_front_of(pgpool, namespace.as_ref(), instance))
        .map(|pgpool| ObjectRef::from_obj(pgpool.as_ref()))
        .filter(|key| !refused.contains(key))
        .collect()
}

fn is_in_front_of(pgpool: &Pgpool, namespace: Option<&String>, name: &str) -> bool {
    pgpool.spec.postgres_ref.name == name && namespace == Some(&names::app_binding_namespace(pgpool))
}
