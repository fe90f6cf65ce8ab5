//! May this operator write an object of that name? Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const INSTANCE: &str = "app.kubernetes.io/instance";

/// Returns who else a live object belongs to, or `None` when it is ours to write.
///
/// It is ours when it has the owner that the desired object has. An object without a controller that
/// carries our labels for the same instance is ours as well: so is one that was kept when its owner was
/// deleted, or came back from a backup with an owner that is no more.
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
        Some(controller) if ours && former_self(wanted, controller, live) => None,
        Some(controller) => Some(format!("{} {}", controller.kind, controller.name)),
        None if ours => None,
        None => Some(described(live)),
    }
}

fn owners(meta: &ObjectMeta) -> &[OwnerReference] {
    meta.owner_references.as_deref().unwrap_or_default()
}

/// The owner itself, when the desired object is to have none any more; or an owner of the same kind and
/// name with another UID, which is what the owner was before it was deleted and came back.
fn former_self(wanted: &[OwnerReference], controller: &OwnerReference, live: &ObjectMeta) -> bool {
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

/// Says as much as can be known about an object without an owner.
fn described(meta: &ObjectMeta) -> String {
    match (label_of(meta, MANAGED_BY), label_of(meta, INSTANCE)) {
        (Some(manager), Some(instance)) => format!("{instance}, managed by {manager}"),
        (Some(manager), None) => format!("whatever {manager} manages"),
        _ => "somebody else".to_owned(),
    }
}

#[cfg(test)]
mod tests;
