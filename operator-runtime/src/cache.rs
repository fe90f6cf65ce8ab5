//! What this process knows of the cluster: one cache per kind, fed by watches.
//!
//! A cache follows its kind whatever happens: errors are retried for ever with a delay of at most
//! 10 s, and a kind that the API server does not serve, or does not show us, is a state that callers
//! read ([`Availability`]), never an error that ends anything. So a CRD that is installed later is
//! noticed within seconds. Nothing here writes.

mod changes;
mod feed;

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tracing::{info, warn};

pub use self::changes::Changes;
use self::changes::Queues;
pub(crate) use self::feed::{Refusal, refusal, trim};
use crate::gates::Gate;
use crate::placement::{Placement, Scope};
use crate::runtime::Runtime;
use crate::wording::chain;

/// Whether the API server serves a kind to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Not known yet.
    Starting,
    /// Served, and every object is in the cache.
    Served,
    /// The API server does not know the kind; the cache is empty.
    Absent,
    /// We may not see the kind; the cache holds what was known before.
    Forbidden,
}

impl Availability {
    /// Combines what is known of the parts of a scope: the worst of them, and nothing before all are
    /// known.
    fn of_parts(parts: &[Self]) -> Self {
        for state in [Self::Starting, Self::Forbidden, Self::Absent] {
            if parts.contains(&state) {
                return state;
            }
        }
        Self::Served
    }
}

/// All objects of a kind in scope, as last heard of.
#[derive(Clone, Debug)]
pub struct Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    store: Store<K>,
    queues: Arc<Queues<K>>,
    availability: watch::Receiver<Availability>,
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

    /// Returns whether the kind is served to us.
    #[must_use]
    pub fn availability(&self) -> Availability {
        *self.availability.borrow()
    }

    /// Returns a receiver that sees every change of availability.
    #[must_use]
    pub fn watch_availability(&self) -> watch::Receiver<Availability> {
        self.availability.clone()
    }

    /// Returns a further stream of changes, independent of every other.
    pub fn changes(&self) -> Changes<K> {
        self.queues.subscribe(self.store.clone())
    }

    pub(crate) fn store(&self) -> Store<K> {
        self.store.clone()
    }
}

/// Starts to cache a kind that the operator cannot do without: the process is not ready before the
/// kind is listed or known to be absent.
///
/// `config` holds the selectors. `trim` drops what nobody reads before an object is kept; managed
/// fields and kubectl's copy of the last applied object are always dropped.
pub fn watch<K>(runtime: &mut Runtime, config: watcher::Config, trim: fn(&mut K)) -> (Cache<K>, Changes<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::Scope: Placement<K>,
{
    start(runtime, config, trim, true)
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
    start(runtime, config, trim, false)
}

fn start<K>(
    runtime: &mut Runtime,
    config: watcher::Config,
    trim: fn(&mut K),
    required: bool,
) -> (Cache<K>, Changes<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::Scope: Placement<K>,
{
    let apis = K::Scope::watched(&runtime.client(), &runtime.scope());
    let gate = runtime.gates().gate(format!("{} cache", K::kind(&())));
    let (shared, cache) = Shared::new(apis.len(), gate, required);
    let changes = cache.changes();
    let shared = Arc::new(shared);
    // Small pages: a list is held in memory once more while it is read.
    let config = config.page_size(100);
    for (part, api) in apis.into_iter().enumerate() {
        let part = feed::Part {
            index: part,
            namespace: match runtime.scope() {
                Scope::All => None,
                Scope::Namespaces(namespaces) => namespaces.get(part).cloned(),
            },
            api,
            config: config.clone(),
            trim,
        };
        // What is reconciled during the drain works with the cache as it stands.
        let (drain, feed) = (runtime.drain(), feed::feed(part, Arc::clone(&shared)));
        runtime.spawn("cache", async move {
            drain.run_until_cancelled_owned(feed).await;
        });
    }
    (cache, changes)
}

/// What the watches of one kind write into.
struct Shared<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    writer: Mutex<Writer<K>>,
    store: Store<K>,
    queues: Arc<Queues<K>>,
    parts: Mutex<Vec<Availability>>,
    availability: watch::Sender<Availability>,
    gate: Mutex<Option<Gate>>,
    required: bool,
}

impl<K> Shared<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    fn new(parts: usize, gate: Gate, required: bool) -> (Self, Cache<K>) {
        let mut writer = Writer::new(());
        // The store takes single objects from here on; a relist is resolved into changes by the feed,
        // which is what lets several watches share one store.
        writer.apply_watcher_event(&watcher::Event::Init);
        writer.apply_watcher_event(&watcher::Event::InitDone);
        let store = writer.as_reader();
        let queues = Arc::new(Queues::default());
        let (availability, receiver) = watch::channel(Availability::Starting);
        let cache = Cache {
            store: store.clone(),
            queues: Arc::clone(&queues),
            availability: receiver,
        };
        let shared = Self {
            writer: Mutex::new(writer),
            store,
            queues,
            parts: Mutex::new(vec![Availability::Starting; parts]),
            availability,
            gate: Mutex::new(Some(gate)),
            required,
        };
        (shared, cache)
    }

    fn applied(&self, object: K) {
        let key = ObjectRef::from(&object);
        self.write(&watcher::Event::Apply(object));
        if let Some(object) = self.store.get(&key) {
            self.queues.push(&object, false);
        }
    }

    fn deleted(&self, object: K) {
        let last = Arc::new(object.clone());
        self.write(&watcher::Event::Delete(object));
        self.queues.push(&last, true);
    }

    fn write(&self, event: &watcher::Event<K>) {
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply_watcher_event(event);
    }

    /// Notes what is known of one part, says so once, and opens the gate when there is nothing left to
    /// wait for.
    fn found(&self, part: usize, state: Availability, why: Option<&(dyn std::error::Error + 'static)>) {
        let overall = {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = parts.get_mut(part) {
                *known = state;
            }
            Availability::of_parts(&parts)
        };
        let changed = self.availability.send_if_modified(|known| {
            let changed = *known != overall;
            *known = overall;
            changed
        });
        if changed {
            announce(&K::kind(&()), overall, why);
        }
        let open = match overall {
            Availability::Starting => false,
            Availability::Served | Availability::Absent => true,
            Availability::Forbidden => !self.required,
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
    /// Tells people why the kind is not known yet.
    fn explain(&self, why: &(dyn std::error::Error + 'static)) {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gate.as_ref() {
            gate.explain(chain(why));
        }
    }
}

/// A cache without a watch behind it.
#[cfg(feature = "testing")]
pub(crate) struct Detached<K>(Shared<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static;

#[cfg(feature = "testing")]
impl<K> Detached<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    pub(crate) fn new() -> (Self, Cache<K>) {
        let gate = crate::gates::Gates::default().gate("none");
        let (shared, cache) = Shared::new(1, gate, true);
        (Self(shared), cache)
    }

    pub(crate) fn take(&self, event: watcher::Event<K>) {
        match event {
            watcher::Event::Delete(object) => self.0.deleted(object),
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => self.0.applied(object),
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }

    pub(crate) fn found(&self, availability: Availability) {
        self.0.found(0, availability, None);
    }
}

fn announce(kind: &str, state: Availability, why: Option<&(dyn std::error::Error + 'static)>) {
    let why = why.map(chain).unwrap_or_default();
    match state {
        Availability::Starting => {}
        Availability::Served => info!(kind, "cache is complete"),
        Availability::Absent => info!(kind, "the API server does not serve this kind (yet)"),
        Availability::Forbidden => {
            warn!(kind, %why, "this kind may not be seen; grant get, list and watch on it");
        }
    }
}

#[cfg(test)]
mod tests;
