//! What the watches of one kind fill. Its readers have a [`Cache`].

use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use tokio::sync::watch;
use tracing::{info, warn};

use super::changes::StateKey;
use super::instances::Instances;
use super::left_out::{self, LeftOutObjects};
use super::{Availabilities, Availability, Cache, Weighed};
use crate::budget::Budget;
use crate::decode::LeftOut;
use crate::error_chain;
use crate::readiness::Gate;
use crate::wake_set::WakeSet;

pub(super) type Why<'a> = &'a (dyn std::error::Error + 'static);

/// What the watches of one kind fill.
pub(super) struct Shared<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    writer: Mutex<Writer<K>>,
    pub(super) store: Store<K>,
    instances: Arc<Instances>,
    changed: WakeSet<StateKey, Arc<K>>,
    pub(super) left_out: LeftOutObjects<K>,
    budget: Mutex<Budget>,
    availability: watch::Sender<Availabilities>,
    gate: Mutex<Option<Gate>>,
    required: bool,
}

impl<K> Shared<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    pub(super) fn new(
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
    pub(super) fn received(&self, received: Weighed<K>) {
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

    pub(super) fn applied(&self, object: K) {
        let key = ObjectRef::from(&object);
        self.left_out.remove(&key);
        let before = self.store.get(&key);
        self.write(&watcher::Event::Apply(object));
        if let Some(object) = self.store.get(&key) {
            self.instances.replace(before.as_deref(), Some(object.as_ref()));
            self.changed.push(&StateKey::of(object.as_ref(), false), &object);
        }
    }

    pub(super) fn deleted(&self, object: K) {
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
    pub(super) fn left_out(&self, left_out: LeftOut) {
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
    pub(super) fn gone(&self, key: &ObjectRef<K>) {
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
    pub(super) fn set_availability(
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
    pub(super) fn explain(&self, why: Why<'_>) {
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
