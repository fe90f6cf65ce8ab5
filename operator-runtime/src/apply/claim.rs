//! Does this operator own an object of that name? Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const INSTANCE: &str = "app.kubernetes.io/instance";

/// Returns the other owner of a live object, or `None` when this operator owns it.
///
/// It does when the object has the owner that the desired object has, or when it has no controller and our
/// labels for the same instance. The latter is an object that outlived its owner, or was restored from a
/// backup whose owner no longer exists.
pub(super) fn other_owner(desired: &ObjectMeta, live: &ObjectMeta) -> Option<String> {
    let wanted = owners(desired);
    let present = owners(live);
    let shared = present
        .iter()
        .any(|live| wanted.iter().any(|desired| desired.uid == live.uid));
    if shared {
        return None;
    }
    let ours = [MANAGED_BY, INSTANCE].iter().all(|label| {
        let wanted = label_of(desired, label);
        wanted.is_some() && wanted == label_of(live, label)
    });
    let controller = present.iter().find(|owner| owner.controller.unwrap_or(false));
    match controller {
        Some(controller) if ours && is_earlier_owner(wanted, controller, live) => None,
        Some(controller) => Some(format!("{} {}", controller.kind, controller.name)),
        None if ours => None,
        None => Some(described(live)),
    }
}

fn owners(meta: &ObjectMeta) -> &[OwnerReference] {
    meta.owner_references.as_deref().unwrap_or_default()
}

/// Whether the controller is the owner itself, when the desired object no longer has one; or the owner before
/// it was deleted and recreated: the same kind and name with another UID.
fn is_earlier_owner(wanted: &[OwnerReference], controller: &OwnerReference, live: &ObjectMeta) -> bool {
    if wanted.is_empty() {
        return label_of(live, INSTANCE) == Some(&controller.name);
    }
    wanted.iter().any(|desired| same_name(desired, controller))
}

fn same_name(one: &OwnerReference, other: &OwnerReference) -> bool {
    // The version of an API group may change between a backup and its restore.
    let group = |reference: &OwnerReference| {
        reference
            .api_version
            .split_once('/')
            .map(|(group, _)| group.to_owned())
    };
    one.kind == other.kind && one.name == other.name && group(one) == group(other)
}

fn label_of<'a>(meta: &'a ObjectMeta, label: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(label).map(String::as_str)
}

/// Describes the owner of an object without owner references by its labels.
fn described(meta: &ObjectMeta) -> String {
    match (label_of(meta, MANAGED_BY), label_of(meta, INSTANCE)) {
        (Some(manager), Some(instance)) => format!("{instance}, managed by {manager}"),
        (Some(manager), None) => manager.to_owned(),
        _ => "someone else".to_owned(),
    }
}

#[cfg(test)]
mod tests;
