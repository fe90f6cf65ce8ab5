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

/// The changes of what is left out: an object that is, or `None` for one that is no longer.
pub(crate) type LeftOutChanges<K> = Wakes<ObjectRef<K>, LeftOutChange<K>>;

type LeftOutChange<K> = (ObjectRef<K>, Option<Arc<LeftOut>>);

/// The objects of one kind that are left out. Clones are the same set.
pub(super) struct LeftOutObjects<K: Resource<DynamicType = ()>>(Arc<Inner<K>>);

struct Inner<K: Resource<DynamicType = ()>> {
    state: Mutex<State<K>>,
    changed: WakeSet<ObjectRef<K>, LeftOutChange<K>>,
    /// As `changed`, with the last that is known of each.
    touched: WakeSet<ObjectRef<K>, Arc<LeftOut>>,
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
            touched: WakeSet::default(),
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
        self.0.touched.push(&key, &left_out);
        self.0.changed.push(&key, &(key.clone(), Some(left_out)));
    }

    /// Removes an object: it was decoded, or deleted.
    pub(super) fn remove(&self, key: &ObjectRef<K>) {
        let mut state = self.lock();
        let known = state.objects.remove(key);
        self.show(&state);
        drop(state);
        if let Some(known) = known {
            self.0.touched.push(key, &known);
            self.0.changed.push(key, &(key.clone(), None));
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
            self.0.touched.push(&key, &known);
            self.0.changed.push(&key, &(key.clone(), None));
        }
    }

    pub(super) fn get(&self, key: &ObjectRef<K>) -> Option<Arc<LeftOut>> {
        self.lock().objects.get(key).cloned()
    }

    /// Returns a stream of changes that starts with every object that is left out.
    pub(super) fn changes(&self) -> LeftOutChanges<K>
    where
        K: Send + Sync,
    {
        let objects = self.clone();
        self.0.changed.subscribe_from(move || {
            let state = objects.lock();
            let known = state.objects.iter();
            known
                .map(|(key, left_out)| (key.clone(), (key.clone(), Some(Arc::clone(left_out)))))
                .collect()
        })
    }

    /// Returns a stream of the objects that are left out, again when they change, and when they no longer are.
    pub(super) fn touched(&self) -> Wakes<ObjectRef<K>, Arc<LeftOut>>
    where
        K: Send + Sync,
    {
        let objects = self.clone();
        self.0.touched.subscribe_from(move || {
            let state = objects.lock();
            let known = state.objects.iter();
            known
                .map(|(key, left_out)| (key.clone(), Arc::clone(left_out)))
                .collect()
        })
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
