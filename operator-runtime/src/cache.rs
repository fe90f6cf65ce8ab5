//! What this process knows of the cluster: one cache per kind, filled by watches.
//!
//! A watch never gives up: errors are retried with a delay of at most 10 s. A kind that the API server does not
//! serve, or that the operator may not read, is a state that callers check ([`Availability`]), not an error. So a
//! CRD that is installed later is noticed within seconds. Nothing here writes.
//!
//! Every object comes in through [`source`], which reduces it to what decisions need.

mod availability;
mod changes;
mod demand;
#[cfg(feature = "testing")]
mod detached;
mod feed;
mod instances;
mod last_change;
mod left_out;
mod shared;
mod source;

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Resource};
use tokio::sync::watch;

pub use self::availability::{Availabilities, Availability};
pub use self::changes::{Changes, StateKey};
pub use self::demand::Demand;
#[cfg(feature = "testing")]
pub(crate) use self::detached::Detached;
pub(crate) use self::feed::{Refusal, refusal, watch_seconds};
use self::instances::Instances;
pub use self::last_change::{keep_last_change, last_change};
use self::left_out::LeftOutObjects;
use self::shared::Shared;
pub use self::source::Reduce;
pub(crate) use self::source::{Incoming, Weighed, events};
use crate::decode::{LeftOut, Undecodable};
use crate::kind::Kind;
use crate::metrics::Metrics;
use crate::readiness::Gates;
use crate::scope::{Placement, Scope};
use crate::wake_set::WakeSet;

/// All objects of a kind in scope, as last received.
#[derive(Clone)]
pub struct Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store: Store<K>,
    instances: Arc<Instances>,
    changed: WakeSet<StateKey, Arc<K>>,
    left_out: LeftOutObjects<K>,
    availability: watch::Receiver<Availabilities>,
}

/// Never shows the objects: some are Secrets.
impl<K> Debug for Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let objects = self.store.len();
        let mut shown = f.debug_struct("Cache");
        shown.field("kind", &K::kind(&())).field("objects", &objects);
        shown.finish_non_exhaustive()
    }
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    /// Returns one object. `namespace` is `None` for cluster-scoped kinds.
    #[must_use]
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<Arc<K>> {
        let mut key = ObjectRef::new(name);
        if let Some(namespace) = namespace {
            key = key.within(namespace);
        }
        self.store.get(&key)
    }

    /// Returns all objects, in no order.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// Returns the objects in a namespace with this `app.kubernetes.io/instance` label, in no order, from an index.
    #[must_use]
    pub fn of_instance(&self, namespace: &str, instance: &str) -> Vec<Arc<K>> {
        let names = self.instances.names(namespace, instance);
        let found = names.iter().filter_map(|name| self.get(Some(namespace), name));
        found.collect()
    }

    /// Returns why the present state of an object is not in the cache; `None` if it is, or if there is no object.
    /// The cache may still have a state from before.
    #[must_use]
    pub fn undecodable(&self, namespace: Option<&str>, name: &str) -> Option<Undecodable> {
        let mut key = ObjectRef::new(name);
        if let Some(namespace) = namespace {
            key = key.within(namespace);
        }
        self.left_out.get(&key).map(|left_out| left_out.why.clone())
    }

    /// Returns a stream of the objects that are left out because they cannot be decoded, and of those that no longer are:
    /// `None`.
    pub(crate) fn left_out(
        &self,
    ) -> impl Stream<Item = (ObjectRef<K>, Option<Arc<LeftOut>>)> + Send + Unpin + use<K>
    where
        K: Send + Sync,
    {
        let changes = self.left_out.changes();
        changes.map(|change| {
            let key = left_out::key(&change.known);
            (key, change.is_left_out.then_some(change.known))
        })
    }

    /// Returns a stream of the metadata of objects that are left out, again when they change, and once when they no longer
    /// are: for those who depend on them. [`LeftOut::identity`] says what is known of it.
    pub fn left_out_objects(&self) -> impl Stream<Item = Arc<LeftOut>> + Send + Unpin + use<K>
    where
        K: Send + Sync,
    {
        self.left_out.changes().map(|change| change.known)
    }

    /// Returns whether the kind is available in the whole scope. What concerns one namespace uses
    /// [`Cache::availability_in`].
    #[must_use]
    pub fn availability(&self) -> Availability {
        self.availability.borrow().whole()
    }

    /// Returns whether the kind is available in a namespace.
    #[must_use]
    pub fn availability_in(&self, namespace: &str) -> Availability {
        self.availability.borrow().within(namespace)
    }

    /// Returns a receiver of changes of the availability, in every part of the scope.
    #[must_use]
    pub fn watch_availability(&self) -> watch::Receiver<Availabilities> {
        self.availability.clone()
    }

    /// Returns a further stream of changes, independent of every other.
    pub fn changes(&self) -> Changes<K>
    where
        K: Send + Sync,
    {
        changes::subscribe(&self.changed, self.store.clone())
    }
}

/// Objects per page of a list. While a page is read it is in memory several times, as bytes, as text and as objects,
/// and users may create objects of more than 1 MB.
const PAGE: u32 = 25;

/// What the watches of a cache need of the process.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    pub(crate) client: &'a Client,
    pub(crate) scope: &'a Scope,
    pub(crate) gates: &'a Gates,
    pub(crate) metrics: &'a Metrics,
}

/// Whether the process waits for a kind before it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Until every part of the scope has answered, and while the kind is forbidden everywhere.
    NeedsKind,
    /// Until every part of the scope has answered.
    NeedsAnswer,
    /// Never.
    Independent,
}

/// A cache with its changes, and the watches that fill it, which are yet to be run.
pub(crate) struct Watched<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    pub(crate) cache: Cache<K>,
    pub(crate) changes: Changes<K>,
    parts: Vec<feed::Part<K>>,
    shared: Arc<Shared<K>>,
}

impl<K> Watched<K>
where
    K: Kind,
    K::Scope: Placement<K>,
{
    pub(crate) fn new(
        environment: Environment<'_>,
        config: watcher::Config,
        reduce: Reduce<K>,
        readiness: Readiness,
    ) -> Self {
        let apis = K::Scope::watched(environment.client, environment.scope);
        let gate = (readiness != Readiness::Independent)
            .then(|| environment.gates.gate(format!("{} cache", K::kind(&()))));
        let namespaces = apis.iter().map(|(namespace, _)| namespace.clone());
        let left_out = LeftOutObjects::new(environment.metrics.left_out(&K::kind(&())));
        let (shared, cache) = Shared::new(namespaces, gate, readiness == Readiness::NeedsKind, left_out);
        let config = config.page_size(PAGE);
        let parts = apis.into_iter().enumerate();
        let parts = parts.map(|(index, (namespace, api))| feed::Part {
            index,
            namespace,
            api,
            config: config.clone(),
            reduce,
        });
        Self {
            changes: cache.changes(),
            cache,
            parts: parts.collect(),
            shared: Arc::new(shared),
        }
    }

    /// The watches to run, one per part of the scope.
    pub(crate) fn feeds(&self) -> impl Iterator<Item = impl Future<Output = ()> + Send + use<K>> {
        let parts = self.parts.iter().cloned();
        parts.map(|part| feed::feed(part, Arc::clone(&self.shared)))
    }

    /// As [`Watched::feeds`], for watches that run only on demand.
    pub(crate) fn feeds_on_demand<R>(
        &self,
        demand: &Demand<R>,
    ) -> impl Iterator<Item = impl Future<Output = ()> + Send + use<K, R>>
    where
        R: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    {
        let parts = self.parts.iter().cloned();
        parts.map(|part| feed::feed_on_demand(part, Arc::clone(&self.shared), demand.clone()))
    }
}

#[cfg(test)]
mod tests;
