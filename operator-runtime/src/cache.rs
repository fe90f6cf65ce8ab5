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
mod source;

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::{info, warn};

pub use self::availability::{Availabilities, Availability};
pub use self::changes::{Changes, StateKey};
pub use self::demand::Demand;
#[cfg(feature = "testing")]
pub(crate) use self::detached::Detached;
pub(crate) use self::feed::{Refusal, refusal, watch_seconds};
use self::instances::Instances;
pub use self::last_change::{keep_last_change, last_change};
pub(crate) use self::left_out::LeftOutChanges;
use self::left_out::LeftOutObjects;
pub use self::source::Reduce;
pub(crate) use self::source::{Incoming, Weighed, events};
use crate::budget::Budget;
use crate::decode::{LeftOut, Undecodable};
use crate::error_chain;
use crate::metrics::Metrics;
use crate::readiness::{Gate, Gates};
use crate::scope::{Placement, Scope};
use crate::wake_set::{WakeSet, Wakes};

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

    /// Returns a stream of the objects that are left out because they cannot be decoded, and of those that no longer are.
    pub(crate) fn left_out(&self) -> LeftOutChanges<K>
    where
        K: Send + Sync,
    {
        self.left_out.changes()
    }

    /// Returns a stream of the metadata of objects that are left out, again when they change, and once when they no longer
    /// are: for those who depend on them. [`LeftOut::identity`] says what is known of it.
    pub fn left_out_objects(&self) -> Wakes<ObjectRef<K>, Arc<LeftOut>>
    where
        K: Send + Sync,
    {
        self.left_out.touched()
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
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync + 'static,
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

type Why<'a> = &'a (dyn std::error::Error + 'static);

/// What the watches of one kind fill.
struct Shared<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    writer: Mutex<Writer<K>>,
    store: Store<K>,
    instances: Arc<Instances>,
    changed: WakeSet<StateKey, Arc<K>>,
    left_out: LeftOutObjects<K>,
    budget: Mutex<Budget>,
    availability: watch::Sender<Availabilities>,
    gate: Mutex<Option<Gate>>,
    required: bool,
}

impl<K> Shared<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    fn new(
        parts: impl IntoIterator<Item = Option<String>>,
        gate: Option<Gate>,
        required: bool,
        left_out: LeftOutObjects<K>,
    ) -> (Self, Cache<K>) {
        let mut writer = Writer::new(());
        // The store accepts single objects from here on. The feed resolves a relist into changes, so that several
        // watches can share one store.
        writer.apply_watcher_event(&watcher::Event::Init);
        writer.apply_watcher_event(&watcher::Event::InitDone);
        let store = writer.as_reader();
        let changed = WakeSet::default();
        let instances = Arc::<Instances>::default();
        let (availability, receiver) = watch::channel(Availabilities::starting(parts));
        let cache = Cache {
            store: store.clone(),
            instances: Arc::clone(&instances),
            changed: changed.clone(),
            left_out: left_out.clone(),
            availability: receiver,
        };
        let shared = Self {
            writer: Mutex::new(writer),
            store,
            instances,
            changed,
            left_out,
            budget: Mutex::default(),
            availability,
            gate: Mutex::new(gate),
            required,
        };
        (shared, cache)
    }

    /// Takes an object that a watch received, if there is room for it.
    fn received(&self, received: Weighed<K>) {
        let Weighed { object, bytes } = received;
        let room = {
            let meta = object.meta();
            let name = meta.name.as_deref().unwrap_or_default();
            self.budget().admit(meta.namespace.as_deref(), name, bytes)
        };
        match room {
            Ok(()) => self.applied(object),
            Err(why) => self.left_out(LeftOut::new(object.meta(), why)),
        }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        // Each change is complete before the lock is given back.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn applied(&self, object: K) {
        let key = ObjectRef::from(&object);
        self.left_out.remove(&key);
        let before = self.store.get(&key);
        self.write(&watcher::Event::Apply(object));
        if let Some(object) = self.store.get(&key) {
            self.instances.replace(before.as_deref(), Some(object.as_ref()));
            self.changed.push(&StateKey::of(object.as_ref(), false), &object);
        }
    }

    fn deleted(&self, object: K) {
        let key = ObjectRef::from(&object);
        self.left_out.remove(&key);
        self.budget().release(key.namespace.as_deref(), &key.name);
        let last = Arc::new(object.clone());
        let before = self.store.get(&key);
        self.write(&watcher::Event::Delete(object));
        self.instances.replace(before.as_deref(), None);
        self.changed.push(&StateKey::of(last.as_ref(), true), &last);
    }

    /// Notes an object that could not be decoded. The last known state remains, unless it is being deleted or the
    /// object is another of the same name.
    fn left_out(&self, left_out: LeftOut) {
        let key = left_out::key(&left_out);
        let known = self.store.get(&key);
        let is_other = |known: &Arc<K>| known.meta().uid != left_out.identity.uid;
        let is_gone = left_out.deleting || known.as_ref().is_some_and(is_other);
        if is_gone {
            self.gone(&key);
        }
        self.left_out.insert(left_out);
        // Its dependents have to be reconciled.
        if let Some(known) = known.filter(|_| !is_gone) {
            self.changed.push(&StateKey::of(known.as_ref(), false), &known);
        }
    }

    /// As [`Shared::deleted`], for an object of which only the key is known.
    fn gone(&self, key: &ObjectRef<K>) {
        self.left_out.remove(key);
        if let Some(last) = self.store.get(key) {
            self.deleted(last.as_ref().clone());
        }
    }

    fn write(&self, event: &watcher::Event<K>) {
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply_watcher_event(event);
    }

    /// Stores the availability of one part, logs a change, and opens the gate when nothing is missing any more.
    fn set_availability(
        &self,
        part: usize,
        namespace: Option<&str>,
        state: Availability,
        why: Option<Why<'_>>,
    ) {
        if self.availability.send_if_modified(|known| known.set(part, state)) {
            announce(&K::kind(&()), namespace, state, why);
        }
        let open = {
            let known = self.availability.borrow();
            known.whole() != Availability::Starting && !(self.required && known.is_hidden())
        };
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if open {
            if let Some(gate) = gate.take() {
                gate.open();
            }
            return;
        }
        drop(gate);
        if let Some(why) = why {
            self.explain(why);
        }
    }
}

impl<K> Shared<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// Sets the reason why the gate is still closed.
    fn explain(&self, why: Why<'_>) {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gate.as_ref() {
            gate.explain(error_chain(why));
        }
    }
}

fn announce(kind: &str, namespace: Option<&str>, state: Availability, why: Option<Why<'_>>) {
    let why = why.map(error_chain).unwrap_or_default();
    match state {
        Availability::Starting => {}
        Availability::Served => info!(kind, namespace, "the cache is complete"),
        Availability::Absent => info!(kind, namespace, "the API server does not serve this kind yet"),
        Availability::Forbidden => {
            warn!(kind, namespace, %why, "the operator may not read this kind; grant get, list and watch on it");
        }
    }
}

#[cfg(test)]
mod tests;
