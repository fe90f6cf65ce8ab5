//! What this process wrote and its caches do not show yet.
//!
//! A write triggers another reconcile, often before the cache of that kind has received it; without this, the
//! same write would be sent twice. Kept in memory until the cache shows the write or something later; losing it
//! costs a request, never correctness.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::time::Instant;

/// How long a cache may take to show a new object, or a part of a status. After that, someone else removed it.
const ARRIVAL: Duration = Duration::from_secs(2);

/// The last writes for each object of kind `R`: other objects, and the part `S` of its status that this process
/// writes. Clones are the same memory.
pub struct PendingWrites<R, S>(Arc<Mutex<HashMap<ObjectRef<R>, Writes<S>>>>)
where
    R: Resource<DynamicType = ()>;

impl<R: Resource<DynamicType = ()>, S> Clone for PendingWrites<R, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Resource<DynamicType = ()>, S> Default for PendingWrites<R, S> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// Never shows the objects: some are Secrets.
impl<R: Resource<DynamicType = ()>, S> Debug for PendingWrites<R, S> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PendingWrites").finish_non_exhaustive()
    }
}

struct Writes<S> {
    /// By kind and name; all are in the namespace of the object they were written for.
    objects: HashMap<ObjectKey, Write>,
    part: Option<Part<S>>,
}

/// Kind and name.
type ObjectKey = (String, String);

struct Write {
    /// What the cache showed when the write was sent.
    over: Option<State>,
    became: Became,
    at: Instant,
}

enum Became {
    Object(State, Arc<dyn Any + Send + Sync>),
    Nothing,
}

/// A part of a status. Others write to the same object, so its version says nothing about this part; the content
/// of the part does.
struct Part<S> {
    over: S,
    written: S,
    at: Instant,
}

/// Identifies a state of an object.
#[derive(Clone, PartialEq, Eq)]
struct State {
    uid: Option<String>,
    version: Option<String>,
    deleting: bool,
}

impl State {
    fn of(object: &impl Resource) -> Self {
        let meta = object.meta();
        Self {
            uid: meta.uid.clone(),
            version: meta.resource_version.clone(),
            deleting: meta.deletion_timestamp.is_some(),
        }
    }

    /// The resource version as a number, which grows with every write.
    fn revision(&self) -> Option<u64> {
        self.version.as_deref()?.parse().ok()
    }
}

impl Write {
    /// Whether the cache still shows a state before this write. Others may have written in between, and the cache
    /// may show that first.
    fn is_unseen(&self, shown: Option<&State>) -> bool {
        match (&self.became, shown) {
            (Became::Object(..), None) => self.over.is_none() && self.at.elapsed() < ARRIVAL,
            (Became::Object(state, _), Some(shown)) => match (shown.revision(), state.revision()) {
                (Some(shown_at), Some(written_at)) => shown.uid == state.uid && shown_at < written_at,
                _ => self.over.as_ref() == Some(shown),
            },
            (Became::Nothing, None) => false,
            (Became::Nothing, Some(shown)) => {
                let before = self.over.as_ref().and_then(|over| over.uid.as_ref());
                !shown.deleting && shown.uid.as_ref() == before
            }
        }
    }
}

fn object_key<K: Resource<DynamicType = ()>>(name: &str) -> ObjectKey {
    (K::kind(&()).into_owned(), name.to_owned())
}

impl<R, S> PendingWrites<R, S>
where
    R: Resource<DynamicType = ()> + Clone,
    S: Clone + PartialEq,
{
    /// Stores a written object; `live` is its state before.
    pub fn object<K>(&self, key: &ObjectRef<R>, object: K, live: Option<&K>)
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        let (name, state) = (object.name_any(), State::of(&object));
        let became = Became::Object(state, Arc::new(object));
        self.note::<K>(key, &name, live.map(State::of), became);
    }

    /// Stores that an object was deleted.
    pub fn deleted<K: Resource<DynamicType = ()>>(&self, key: &ObjectRef<R>, live: &K) {
        self.note::<K>(key, &live.name_any(), Some(State::of(live)), Became::Nothing);
    }

    fn note<K>(&self, key: &ObjectRef<R>, name: &str, over: Option<State>, became: Became)
    where
        K: Resource<DynamicType = ()>,
    {
        let (place, at) = (object_key::<K>(name), Instant::now());
        self.with(key, |writes| {
            // Written twice before the cache changed: it still shows the state before the first write.
            let over = writes.objects.remove(&place).map_or(over, |write| write.over);
            writes.objects.insert(place, Write { over, became, at });
        });
    }

    /// Returns the current state of an object: what was written, while the cache shows an earlier state.
    #[must_use]
    pub fn current<K>(&self, key: &ObjectRef<R>, name: &str, cached: Option<Arc<K>>) -> Option<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        let mut all = self.lock();
        let Some(writes) = all.get_mut(key) else {
            return cached;
        };
        let place = object_key::<K>(name);
        let shown = cached.as_deref().map(State::of);
        match writes.objects.get(&place) {
            Some(write) if write.is_unseen(shown.as_ref()) => match &write.became {
                Became::Object(_, object) => Arc::clone(object).downcast().ok(),
                Became::Nothing => None,
            },
            _ => {
                writes.objects.remove(&place);
                cached
            }
        }
    }

    /// Returns the names of the objects of one kind that were written, but that the cache may not show yet.
    #[must_use]
    pub fn names<K: Resource<DynamicType = ()>>(&self, key: &ObjectRef<R>) -> Vec<String> {
        let all = self.lock();
        let places = all.get(key).into_iter().flat_map(|writes| writes.objects.keys());
        let of_kind = places.filter(|(kind, _)| *kind == K::kind(&()));
        of_kind.map(|(_, name)| name.clone()).collect()
    }

    /// Stores the written part of the status; `shown` is that part in the cache.
    pub fn part(&self, key: &ObjectRef<R>, shown: S, written: S) {
        let at = Instant::now();
        self.with(key, |writes| {
            // Written twice before the cache changed, as with objects.
            let over = writes.part.take().map_or(shown, |part| part.over);
            writes.part = Some(Part { over, written, at });
        });
    }

    /// Returns the current part of the status; `shown` is that part in the cache.
    #[must_use]
    pub fn current_part(&self, key: &ObjectRef<R>, shown: S) -> S {
        let mut all = self.lock();
        let Some(writes) = all.get_mut(key) else {
            return shown;
        };
        writes
            .part
            .take_if(|part| part.over != shown || part.at.elapsed() > ARRIVAL);
        writes.part.as_ref().map_or(shown, |part| part.written.clone())
    }

    /// Drops what is kept for a deleted object.
    pub fn forget(&self, key: &ObjectRef<R>) {
        self.lock().remove(key);
    }

    fn with(&self, key: &ObjectRef<R>, note: impl FnOnce(&mut Writes<S>)) {
        let mut all = self.lock();
        note(all.entry(key.clone()).or_insert_with(|| Writes {
            objects: HashMap::new(),
            part: None,
        }));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<R>, Writes<S>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
