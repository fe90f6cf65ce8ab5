//! Caches of kinds.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use kube::Resource;
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;

use crate::placement::Placement;
use crate::runtime::Runtime;

/// Whether the API server serves a kind to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Not known yet.
    Starting,
    /// Served and listed.
    Served,
    /// The API server does not know the kind.
    Absent,
    /// We may not see the kind.
    Forbidden,
}

/// A view of all objects of a kind in scope.
#[derive(Clone, Debug)]
pub struct Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store: Store<K>,
    availability: tokio::sync::watch::Receiver<Availability>,
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    /// Returns one object. `namespace` is `None` for cluster-scoped kinds.
    #[must_use]
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<Arc<K>> {
        let _ = (namespace, name);
        None
    }

    /// Returns all objects, in no order.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// Returns whether the kind is served to us.
    #[must_use]
    pub fn availability(&self) -> Availability {
        *self.availability.borrow()
    }

    /// Returns a receiver that sees every change of availability.
    #[must_use]
    pub fn watch_availability(&self) -> tokio::sync::watch::Receiver<Availability> {
        self.availability.clone()
    }
}

/// Objects that changed or went.
#[derive(Debug)]
pub struct Changes<K>(std::marker::PhantomData<K>);

impl<K> Stream for Changes<K> {
    type Item = Arc<K>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Arc<K>>> {
        Poll::Pending
    }
}

/// Starts to cache a kind that the operator cannot do without.
pub fn watch<K>(runtime: &mut Runtime, config: watcher::Config, trim: fn(&mut K)) -> (Cache<K>, Changes<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::Scope: Placement<K>,
{
    let _ = (runtime, config, trim);
    unimplemented!()
}

/// As [`watch`], for a kind that the operator can do without: being forbidden to see it does not keep
/// the process from being ready.
pub fn watch_optional<K>(
    runtime: &mut Runtime,
    config: watcher::Config,
    trim: fn(&mut K),
) -> (Cache<K>, Changes<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::Scope: Placement<K>,
{
    let _ = (runtime, config, trim);
    unimplemented!()
}
