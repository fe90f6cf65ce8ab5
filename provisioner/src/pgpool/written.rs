//! What this process has just written and its caches do not show yet.
//!
//! A write wakes its own writer, often sooner than the cache of that kind has heard of it; without this the same
//! thing would be sent twice. In memory, and only until the cache moves on: losing it costs a request, never an end
//! state.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use shared_types::{Pgpool, PgpoolStatus};
use tokio::time::Instant;

use super::status::{ours, over};

#[cfg(test)]
mod tests;

/// How long a cache may take to show a new object. One that is not there by then was deleted by somebody.
const ARRIVAL: Duration = Duration::from_secs(2);

/// The last writes about each `Pgpool`.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<HashMap<ObjectRef<Pgpool>, Writes>>>);

#[derive(Default)]
struct Writes {
    /// By kind and name; all are in the namespace of the `Pgpool`.
    objects: HashMap<Place, Write>,
    /// Our part of the status.
    status: Option<Report>,
}

/// Kind and name.
type Place = (String, String);

fn place<K: Resource<DynamicType = ()>>(name: &str) -> Place {
    (K::kind(&()).into_owned(), name.to_owned())
}

struct Write {
    /// What the cache showed at the time.
    over: Option<State>,
    /// What came of it; `None` when it was deleted.
    object: Option<Arc<dyn Any + Send + Sync>>,
    at: Instant,
}

/// A part of a status that was written. The other operator writes to the same object, so its version tells nothing:
/// the part itself does.
struct Report {
    over: PgpoolStatus,
    written: PgpoolStatus,
    at: Instant,
}

/// By what it is seen whether a cache has moved on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    uid: Option<String>,
    version: Option<String>,
}

impl State {
    fn of(object: &impl Resource) -> Self {
        Self {
            uid: object.meta().uid.clone(),
            version: object.meta().resource_version.clone(),
        }
    }
}

impl Writes {
    fn note<K: Resource<DynamicType = ()>>(
        &mut self,
        name: &str,
        over: Option<State>,
        object: Option<Arc<dyn Any + Send + Sync>>,
    ) {
        let place = place::<K>(name);
        // Written twice before the cache has moved: it still shows what was there before the first time.
        let over = self.objects.remove(&place).map_or(over, |write| write.over);
        let at = Instant::now();
        self.objects.insert(place, Write { over, object, at });
    }

    fn current<K>(&mut self, name: &str, cached: Option<Arc<K>>) -> Option<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        let place = place::<K>(name);
        let Some(write) = self.objects.get(&place) else {
            return cached;
        };
        let arriving = write.over.is_some() || write.at.elapsed() < ARRIVAL;
        if write.over != cached.as_deref().map(State::of) || !arriving {
            self.objects.remove(&place);
            return cached;
        }
        write.object.clone()?.downcast().ok()
    }
}

impl Written {
    /// Remembers what an object has become that was `live` before.
    pub fn object<K>(&self, key: &ObjectRef<Pgpool>, object: K, live: Option<&K>)
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        let (name, over) = (object.name_any(), live.map(State::of));
        self.with(key, |writes| {
            writes.note::<K>(&name, over, Some(Arc::new(object)));
        });
    }

    /// Remembers that an object was deleted.
    pub fn deleted<K: Resource<DynamicType = ()>>(&self, key: &ObjectRef<Pgpool>, live: &K) {
        self.with(key, |writes| {
            writes.note::<K>(&live.name_any(), Some(State::of(live)), None);
        });
    }

    /// Gives an object as it stands: what was written, while the cache shows what was there before.
    #[must_use]
    pub fn current<K>(&self, key: &ObjectRef<Pgpool>, name: &str, cached: Option<Arc<K>>) -> Option<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Send + Sync + 'static,
    {
        match self.lock().get_mut(key) {
            Some(writes) => writes.current(name, cached),
            None => cached,
        }
    }

    /// Gives the names of objects of a kind that were written and may not be shown yet.
    #[must_use]
    pub fn names<K: Resource<DynamicType = ()>>(&self, key: &ObjectRef<Pgpool>) -> Vec<String> {
        let all = self.lock();
        let places = all.get(key).into_iter().flat_map(|writes| writes.objects.keys());
        let of_kind = places.filter(|(kind, _)| *kind == K::kind(&()));
        of_kind.map(|(_, name)| name.clone()).collect()
    }

    /// Remembers our part of the status as it was written over what `pgpool` shows.
    pub fn status(&self, pgpool: &Pgpool, written: PgpoolStatus) {
        let (key, at) = (ObjectRef::from_obj(pgpool), Instant::now());
        let shown = ours(&pgpool.status.clone().unwrap_or_default());
        self.with(&key, |writes| {
            // Written twice before the cache has moved, as with objects.
            let over = writes.status.take().map_or(shown, |report| report.over);
            writes.status = Some(Report { over, written, at });
        });
    }

    /// Gives a `Pgpool` with our part of the status as it stands.
    #[must_use]
    pub fn with_status(&self, pgpool: Arc<Pgpool>) -> Arc<Pgpool> {
        let mut all = self.lock();
        let Some(writes) = all.get_mut(&ObjectRef::from_obj(pgpool.as_ref())) else {
            return pgpool;
        };
        let shown = ours(&pgpool.status.clone().unwrap_or_default());
        writes
            .status
            .take_if(|report| report.over != shown || report.at.elapsed() > ARRIVAL);
        let Some(Report { written, .. }) = &writes.status else {
            return pgpool;
        };
        let mut pgpool = Pgpool::clone(&pgpool);
        pgpool.status = Some(over(pgpool.status.unwrap_or_default(), written.clone()));
        Arc::new(pgpool)
    }

    /// Forgets a `Pgpool` that is gone.
    pub fn forget(&self, key: &ObjectRef<Pgpool>) {
        self.lock().remove(key);
    }

    fn with(&self, key: &ObjectRef<Pgpool>, note: impl FnOnce(&mut Writes)) {
        note(self.lock().entry(key.clone()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectRef<Pgpool>, Writes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
