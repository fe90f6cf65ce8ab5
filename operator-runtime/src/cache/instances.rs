//! An index of the objects of a cache by their `app.kubernetes.io/instance` label.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::{Resource, ResourceExt};
use shared_types::names::LABEL_INSTANCE;

/// Namespace and instance.
type Place = (String, String);

/// The names of the namespaced objects of each instance.
#[derive(Default)]
pub(super) struct Instances(Mutex<HashMap<Place, BTreeSet<String>>>);

impl Instances {
    /// Replaces one state of an object by another; `None` is no object.
    pub(super) fn replace<K: Resource>(&self, before: Option<&K>, after: Option<&K>) {
        let (from, to) = (before.and_then(place), after.and_then(place));
        if from == to {
            return;
        }
        let mut all = self.lock();
        if let (Some(from), Some(before)) = (from, before)
            && let Some(names) = all.get_mut(&from)
        {
            names.remove(&before.name_any());
            if names.is_empty() {
                all.remove(&from);
            }
        }
        if let (Some(to), Some(after)) = (to, after) {
            all.entry(to).or_default().insert(after.name_any());
        }
    }

    /// The names of the objects of an instance.
    pub(super) fn names(&self, namespace: &str, instance: &str) -> Vec<String> {
        let place = (namespace.to_owned(), instance.to_owned());
        self.lock().get(&place).into_iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, BTreeSet<String>>> {
        // Each change is complete before the lock is given back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(object: &impl Resource) -> Option<Place> {
    Some((object.namespace()?, object.labels().get(LABEL_INSTANCE)?.clone()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::*;

    fn secret(name: &str, instance: Option<&str>) -> Secret {
        let mut secret = json!({ "metadata": { "name": name, "namespace": "demo" } });
        if let Some(instance) = instance {
            secret["metadata"]["labels"] = json!({ LABEL_INSTANCE: instance });
        }
        serde_json::from_value(secret).unwrap()
    }

    #[test]
    fn an_object_is_found_by_its_label() {
        let instances = Instances::default();
        let is = |pool: &[&str], other: &[&str]| {
            assert_eq!(instances.names("demo", "pool"), pool);
            assert_eq!(instances.names("demo", "other"), other);
            assert!(instances.names("elsewhere", "pool").is_empty());
        };
        let (a, b, moved, bare) = (
            secret("a", Some("pool")),
            secret("b", Some("pool")),
            secret("a", Some("other")),
            secret("a", None),
        );
        instances.replace(None, Some(&a));
        instances.replace(None, Some(&b));
        instances.replace(Some(&a), Some(&a));
        is(&["a", "b"], &[]);
        instances.replace(Some(&a), Some(&moved));
        is(&["b"], &["a"]);
        instances.replace(Some(&moved), Some(&bare));
        is(&["b"], &[]);
        instances.replace(Some(&bare), Some(&a));
        is(&["a", "b"], &[]);
        instances.replace(Some(&a), None);
        instances.replace(Some(&b), None);
        is(&[], &[]);
        assert!(instances.lock().is_empty(), "nothing is kept of what is gone");
    }
}
