//! What this process has just written and its caches do not show yet.
//!
//! A write wakes its own writer, often sooner than the cache of that kind has heard of it; without this the
//! same thing would be sent twice. In memory, and only until the cache shows the write or something later:
//! losing it costs a request, never an end state.

use std::any::Any;
use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::time::Instant;

/// How long a cache may take to show a new object, or a part of a status. What is not there by then was
/// removed by somebody.
const ARRIVAL: Duration = Duration::from_secs(2);

/// The last writes about each object of kind `R`: other objects, and the part `S` of its own status that this
/// process writes. Clones are the same memory.
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
    /// By kind and name; all are in the namespace of the object that they are about.
    objects: HashMap<Place, Write>,
    part: Option<Part<S>>,
}

/// Kind and name.
type Place = (String, String);

struct Write {
    /// What the cache showed at the time.
    over: Option<State>,
    became: Became,
    at: Instant,
}

enum Became {
    Object(State, Arc<dyn Any + Send + Sync>),
    Nothing,
}

/// A part of a status. Others write to the same object, so that its version tells nothing: the part itself
/// does.
struct Part<S> {
    over: S,
    written: S,
    at: Instant,
}

/// Which state of an object this is.
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

    /// The place in the history of the cluster.
    fn place(&self) -> Option<u64> {
        self.version.as_deref()?.parse().ok()
    }
}

impl Write {
    /// Whether the cache shows what was there before this write. Others may have written in between, and the
    /// cache may hear of that first.
    fn is_unseen(&self, shown: Option<&State>) -> bool {
        match (&self.became, shown) {
            (Became::Object(..), None) => self.over.is_none() && self.at.elapsed() < ARRIVAL,
            (Became::Object(state, _), Some(shown)) => match (shown.place(), state.place()) {
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

fn place<K: Resource<DynamicType = ()>>(name: &str) -> Place {
    (K::kind(&()).into_owned(), name.to_owned())
}

impl<R, S> PendingWrites<R, S>
where
    R: Resource<DynamicType = ()> + Clone,
    S: Clone + PartialEq,
{
    /// Remembers what an object has become; `live` is what was there before.
    pub fn object<K>(&self, key: &ObjectRef<R>, object: K, live: Option<&K>)
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        let (name, state) = (object.name_any(), State::of(&object));
        let became = Became::Object(state, Arc::new(object));
        self.note::<K>(key, &name, live.map(State::of), became);
    }

    /// Remembers that an object was deleted.
    pub fn deleted<K: Resource<DynamicType = ()>>(&self, key: &ObjectRef<R>, live: &K) {
        self.note::<K>(key, &live.name_any(), Some(State::of(live)), Became::Nothing);
    }

    fn note<K>(&self, key: &ObjectRef<R>, name: &str, over: Option<State>, became: Became)
    where
        K: Resource<DynamicType = ()>,
    {
        let (place, at) = (place::<K>(name), Instant::now());
        self.with(key, |writes| {
            // PendingWrites twice before the cache has moved: it still shows what was there before the first time.
            let over = writes.objects.remove(&place).map_or(over, |write| write.over);
            writes.objects.insert(place, Write { over, became, at });
        });
    }

    /// Returns an object as it stands: what was written, while the cache shows what was there before.
    #[must_use]
    pub fn current<K>(&self, key: &ObjectRef<R>, name: &str, cached: Option<Arc<K>>) -> Option<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        let mut all = self.lock();
        let Some(writes) = all.get_mut(key) else {
            return cached;
        };
        let place = place::<K>(name);
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

    /// Returns the names of objects of a kind that were written and may not be shown yet.
    #[must_use]
    pub fn names<K: Resource<DynamicType = ()>>(&self, key: &ObjectRef<R>) -> Vec<String> {
        let all = self.lock();
        let places = all.get(key).into_iter().flat_map(|writes| writes.objects.keys());
        let of_kind = places.filter(|(kind, _)| *kind == K::kind(&()));
        of_kind.map(|(_, name)| name.clone()).collect()
    }

    /// Remembers our part of the status; `shown` is what the cache shows of it.
    pub fn part(&self, key: &ObjectRef<R>, shown: S, written: S) {
        let at = Instant::now();
        self.with(key, |writes| {
            // PendingWrites twice before the cache has moved, as with objects.
            let over = writes.part.take().map_or(shown, |part| part.over);
            writes.part = Some(Part { over, written, at });
        });
    }

    /// Returns our part of the status as it stands; `shown` is what the cache shows of it.
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

    /// Forgets an object that is gone.
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
