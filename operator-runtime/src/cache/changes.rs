//! The changes of a cache as wake-ups: the latest state of each object that changed, and the last state of
//! each that was deleted.

use std::sync::Arc;

use kube::runtime::reflector::Store;
use kube::{Resource, ResourceExt};

use crate::fair::Tenant;
use crate::wake_set::{WakeSet, Wakes};

/// Every object of the cache first, then the latest state of whatever changes.
pub type Changes<K> = Wakes<StateKey, Arc<K>>;

/// Names one state of one object. A deletion does not displace the state before it, nor one object
/// another of the same name, since either may concern others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StateKey {
    namespace: Option<String>,
    name: String,
    uid: Option<String>,
    deleted: bool,
}

impl Tenant for StateKey {
    fn tenant(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

impl StateKey {
    pub(super) fn of<K: Resource<DynamicType = ()>>(object: &K, deleted: bool) -> Self {
        Self {
            namespace: object.namespace(),
            name: object.name_any(),
            uid: object.uid(),
            deleted,
        }
    }
}

/// Returns a further stream of changes. The store may hold some of them already at its first poll.
pub(super) fn subscribe<K>(set: &WakeSet<StateKey, Arc<K>>, store: Store<K>) -> Changes<K>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    set.subscribe_from(move || {
        let objects = store.state().into_iter();
        objects
            .map(|object| (StateKey::of(object.as_ref(), false), object))
            .collect()
    })
}
