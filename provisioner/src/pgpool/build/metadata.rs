//! Names, labels and owners of the objects: their only source.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use shared_types::DeletionPolicy;

use crate::pgpool::validate::Validated;

/// An object that is deleted with the `Pgpool`.
pub(super) fn owned(validated: &Validated, name: &str) -> ObjectMeta {
    ObjectMeta {
        owner_references: Some(vec![validated.owner.clone()]),
        ..unowned(validated, name)
    }
}

/// An object that outlives the `Pgpool`, except with deletion policy `WipeOut`.
pub(super) fn persistent(validated: &Validated, name: &str) -> ObjectMeta {
    match validated.deletion_policy {
        DeletionPolicy::WipeOut => owned(validated, name),
        DeletionPolicy::Delete | DeletionPolicy::Halt | DeletionPolicy::DoNotTerminate => {
            unowned(validated, name)
        }
    }
}

fn unowned(validated: &Validated, name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(validated.namespace.clone()),
        labels: Some(validated.labels.clone()),
        ..ObjectMeta::default()
    }
}

/// The user's labels, overridden by ours, which selectors depend on.
pub(super) fn labels(validated: &Validated, more: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = validated.labels.clone();
    labels.extend(
        more.iter()
            .filter(|(key, _)| !validated.selector.contains_key(*key))
            .map(|(k, v)| (k.clone(), v.clone())),
    );
    labels
}

/// `None` for no annotations, as the API server stores it.
pub(super) fn annotations(pairs: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!pairs.is_empty()).then(|| pairs.clone())
}

/// Selects the pods.
pub(super) fn selector(validated: &Validated) -> LabelSelector {
    LabelSelector {
        match_labels: Some(validated.selector.clone()),
        ..LabelSelector::default()
    }
}
