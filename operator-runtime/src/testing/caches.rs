//! Caches without an API server behind them.

use kube::Resource;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cache::{Availability, Cache, Detached};
use crate::decode::Received;

/// A cache that a test fills by hand.
pub struct TestCache<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + 'static,
{
    detached: Detached<K>,
    /// What the code under test reads.
    pub cache: Cache<K>,
}

impl<K> std::fmt::Debug for TestCache<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + 'static,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TestCache")
    }
}

impl<K> TestCache<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + 'static,
{
    /// Makes a cache that is served and holds these objects.
    #[must_use]
    pub fn of(objects: impl IntoIterator<Item = K>) -> Self {
        let (detached, cache) = Detached::new();
        for object in objects {
            detached.take(watcher::Event::Apply(object));
        }
        detached.found(Availability::Served);
        Self { detached, cache }
    }

    /// Adds or replaces an object, and notifies those who follow the changes.
    pub fn apply(&self, object: K) {
        self.detached.take(watcher::Event::Apply(object));
    }

    /// Receives an object as a watch does: one that cannot be decoded is left out.
    pub fn receive(&self, object: &Value)
    where
        K: DeserializeOwned,
    {
        let received: Result<Received<K>, _> = serde_json::from_str(&object.to_string());
        match received.map(Received::into_result) {
            Ok(Ok(object)) => self.apply(object),
            Ok(Err(left_out)) => self.detached.left_out(left_out),
            Err(_) => {}
        }
    }

    /// Removes an object, and notifies those who follow the changes.
    pub fn delete(&self, object: K) {
        self.detached.take(watcher::Event::Delete(object));
    }

    /// Changes whether the kind is served.
    pub fn set_availability(&self, availability: Availability) {
        self.detached.found(availability);
    }
}
