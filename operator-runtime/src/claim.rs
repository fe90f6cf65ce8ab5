//! Whose object is it? The one ownership check of both operators: before an object is changed or deleted, it has to belong
//! to the object that it is changed for. Pure.
//!
//! A name proves nothing: users choose some of the names, and whoever may create an object can take one of ours first.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt;
use shared_types::{Pgpool, names};

/// The type of a Secret that names none.
const OPAQUE: &str = "Opaque";

/// What shows that an object belongs to one owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The owner, as its objects refer to it.
    owner: OwnerReference,
    /// All of these are on every object of this owner, and not all of them on any other.
    labels: BTreeMap<String, String>,
}

impl Claim {
    /// The claim of a Pgpool on its objects.
    #[must_use]
    pub fn of(pgpool: &Pgpool) -> Self {
        Self::new(
            names::owner_reference(pgpool),
            names::selector_labels(&pgpool.name_any()),
        )
    }

    /// The claim of an owner on the objects with these labels.
    #[must_use]
    pub(crate) fn new(owner: OwnerReference, labels: BTreeMap<String, String>) -> Self {
        Self { owner, labels }
    }

    /// Whether the object belongs to this owner.
    #[must_use]
    pub fn covers(&self, live: &ObjectMeta) -> bool {
        self.other_owner(live).is_none()
    }

    /// Whether this owner, and no earlier one of its name, controls the object.
    #[must_use]
    pub fn controls(&self, live: &ObjectMeta) -> bool {
        controller(live).is_some_and(|controller| self.is_owner(controller) && self.is_present(controller))
    }

    /// Returns the other owner of a live object in words, or `None` when it belongs to this one.
    ///
    /// It does when its controller is this owner, or an earlier object of the same kind and name: then it also needs the
    /// labels. An object without a controller needs the labels, too: it outlived its owner, or was restored from a backup.
    #[must_use]
    pub fn other_owner(&self, live: &ObjectMeta) -> Option<String> {
        let is_labeled = self
            .labels
            .iter()
            .all(|(key, value)| label(live, key) == Some(value));
        let is_labeled = is_labeled && !self.labels.is_empty();
        match controller(live) {
            Some(controller) if self.is_owner(controller) => {
                (!self.is_present(controller) && !is_labeled).then(|| described_owner(controller))
            }
            Some(controller) => Some(described_owner(controller)),
            None if is_labeled => None,
            None => Some(described(live)),
        }
    }

    /// Returns what keeps a Secret of this owner, or of nobody, from being written with a type: the other owner, another
    /// type or its immutability, in words that continue "belongs to".
    #[must_use]
    pub fn other_owner_of_secret(&self, live: &Secret, type_: &str) -> Option<String> {
        let fixed = || fixed(Some(type_), live.type_.as_deref(), live.immutable == Some(true));
        self.other_owner(&live.metadata).or_else(fixed)
    }

    fn is_present(&self, controller: &OwnerReference) -> bool {
        controller.uid == self.owner.uid && !controller.uid.is_empty()
    }

    /// Whether kind and name are those of the owner. The version of an API group may change between a backup and its restore.
    fn is_owner(&self, controller: &OwnerReference) -> bool {
        let group = |reference: &OwnerReference| {
            let group = reference.api_version.split_once('/');
            group.map(|(group, _)| group.to_owned())
        };
        self.owner.kind == controller.kind
            && self.owner.name == controller.name
            && group(&self.owner) == group(controller)
    }
}

/// Returns why a Secret cannot become what is wanted, in words that continue "belongs to": nobody can change its type or,
/// once it is immutable, its content.
pub(crate) fn fixed(wanted_type: Option<&str>, live_type: Option<&str>, is_sealed: bool) -> Option<String> {
    let type_of = |type_: Option<&str>| type_.filter(|it| !it.is_empty()).unwrap_or(OPAQUE).to_owned();
    let (wanted, live) = (type_of(wanted_type), type_of(live_type));
    if wanted != live {
        return Some(format!("someone else: its type is {live} instead of {wanted}"));
    }
    is_sealed.then(|| "someone else: it is immutable".to_owned())
}

/// The controller of an object.
#[must_use]
pub fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = meta.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true))
}

fn label<'a>(meta: &'a ObjectMeta, label: &str) -> Option<&'a String> {
    meta.labels.as_ref()?.get(label)
}

fn described_owner(owner: &OwnerReference) -> String {
    format!("{} {}", owner.kind, owner.name)
}

/// Describes the owner of an object without a controller by its labels.
fn described(meta: &ObjectMeta) -> String {
    match (
        label(meta, names::LABEL_MANAGED_BY),
        label(meta, names::LABEL_INSTANCE),
    ) {
        (Some(manager), Some(instance)) => format!("{instance}, managed by {manager}"),
        (Some(manager), None) => manager.clone(),
        _ => "someone else".to_owned(),
    }
}

#[cfg(test)]
mod tests;
