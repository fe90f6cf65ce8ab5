//! The objects of a kind that could not be decoded, and are therefore left out of its cache.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use tracing::warn;

use crate::decode::LeftOut;
use crate::wake_set::{WakeSet, Wakes};

/// How many objects of one kind are logged in one [`PERIOD`].
const MOST_LINES: u32 = 10;

const PERIOD: Duration = Duration::from_mins(1);

/// An object that is left out, or no longer is.
#[derive(Clone)]
pub(super) struct Change {
    /// The last that is known of it.
    pub(super) known: Arc<LeftOut>,
    pub(super) is_left_out: bool,
}

/// The objects of one kind that are left out. Clones are the same set.
pub(super) struct LeftOutObjects<K: Resource<DynamicType = ()>>(Arc<Inner<K>>);

struct Inner<K: Resource<DynamicType = ()>> {
    state: Mutex<State<K>>,
    changed: WakeSet<ObjectRef<K>, Change>,
    gauge: Gauge,
}

struct State<K: Resource<DynamicType = ()>> {
    objects: HashMap<ObjectRef<K>, Arc<LeftOut>>,
    /// When the current period of the log began, and how many lines it has.
    logged: Option<(Instant, u32)>,
}

impl<K: Resource<DynamicType = ()>> Clone for LeftOutObjects<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Returns the key of an object that was left out.
pub(super) fn key<K: Resource<DynamicType = ()>>(left_out: &LeftOut) -> ObjectRef<K> {
    let key = ObjectRef::new(left_out.identity.name.as_deref().unwrap_or_default());
    match &left_out.identity.namespace {
        Some(namespace) => key.within(namespace),
        None => key,
    }
}

impl<K> LeftOutObjects<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// `gauge` shows how many there are.
    pub(super) fn new(gauge: Gauge) -> Self {
        let state = State {
            objects: HashMap::new(),
            logged: None,
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            changed: WakeSet::default(),
            gauge,
        }))
    }

    /// Adds an object, and logs it unless it is known to be left out for the same reason.
    pub(super) fn insert(&self, left_out: LeftOut) {
        let key = key::<K>(&left_out);
        let left_out = Arc::new(left_out);
        let mut state = self.lock();
        let before = state.objects.insert(key.clone(), Arc::clone(&left_out));
        self.show(&state);
        let is_new = before.is_none_or(|before| before.why != left_out.why);
        let line = is_new.then(|| state.line(Instant::now())).flatten();
        drop(state);
        let (kind, why) = (K::kind(&()), &left_out.why);
        match line {
            Some(MOST_LINES) => {
                warn!(%kind, object = %key, %why, "left an object out; more of this kind are not logged for a minute");
            }
            Some(_) => warn!(%kind, object = %key, %why, "left an object out"),
            None => {}
        }
        self.push(&key, left_out, true);
    }

    /// Removes an object: it was decoded, or deleted.
    pub(super) fn remove(&self, key: &ObjectRef<K>) {
        let mut state = self.lock();
        let known = state.objects.remove(key);
        self.show(&state);
        drop(state);
        if let Some(known) = known {
            self.push(key, known, false);
        }
    }

    /// Removes every object that `keep` does not want.
    pub(super) fn retain(&self, keep: impl Fn(&ObjectRef<K>) -> bool) {
        let mut state = self.lock();
        let gone = state.objects.extract_if(|key, _| !keep(key));
        let gone: Vec<_> = gone.collect();
        self.show(&state);
        drop(state);
        for (key, known) in gone {
            self.push(&key, known, false);
        }
    }

    pub(super) fn get(&self, key: &ObjectRef<K>) -> Option<Arc<LeftOut>> {
        self.lock().objects.get(key).cloned()
    }

    /// Returns a stream of changes that starts with every object that is left out.
    pub(super) fn changes(&self) -> Wakes<ObjectRef<K>, Change>
    where
        K: Send + Sync,
    {
        let objects = self.clone();
        self.0.changed.subscribe_from(move || {
            let state = objects.lock();
            let known = state.objects.iter();
            let changes = known.map(|(key, known)| {
                let change = Change {
                    known: Arc::clone(known),
                    is_left_out: true,
                };
                (key.clone(), change)
            });
            changes.collect()
        })
    }

    fn push(&self, key: &ObjectRef<K>, known: Arc<LeftOut>, is_left_out: bool) {
        self.0.changed.push(key, &Change { known, is_left_out });
    }

    fn show(&self, state: &State<K>) {
        self.0
            .gauge
            .set(i64::try_from(state.objects.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Each change is complete before the lock is given back.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Resource<DynamicType = ()>> State<K> {
    /// Returns which line of the current period this is; `None` if it has enough.
    fn line(&mut self, now: Instant) -> Option<u32> {
        let (began, lines) = self
            .logged
            .filter(|(began, _)| now.duration_since(*began) < PERIOD)
            .unwrap_or((now, 0));
        if lines == MOST_LINES {
            return None;
        }
        let line = lines.saturating_add(1);
        self.logged = Some((began, line));
        Some(line)
    }
}
