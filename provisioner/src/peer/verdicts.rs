//! The verdicts received so far, in memory. Decides only whether a verdict differs from the previous one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::WakeSet;
use proto::verdict::Verdict;
use shared_types::Pgpool;

use super::Verdicts;

#[cfg(test)]
mod tests;

/// The verdicts of ops-manager, shared between the channel that receives them and the reconciles that read them.
///
/// Without a channel it stays empty.
#[derive(Clone, Default)]
pub(crate) struct Board {
    state: Arc<Mutex<State>>,
    changed: WakeSet<ObjectRef<Pgpool>>,
}

#[derive(Default)]
struct State {
    connected: bool,
    entries: HashMap<ObjectRef<Pgpool>, Entry>,
}

struct Entry {
    verdict: Arc<Verdict>,
    /// Received on the current stream, not on one that was cut.
    fresh: bool,
}

impl Board {
    /// A stream was opened: ops-manager sends everything it knows again.
    pub(crate) fn connect(&self) {
        self.lock().connected = true;
    }

    /// The stream was cut: no verdict received so far is used any more, and one that is repeated later is not a change.
    pub(crate) fn disconnect(&self) {
        let mut state = self.lock();
        state.connected = false;
        for entry in state.entries.values_mut() {
            entry.fresh = false;
        }
    }

    /// Stores a verdict.
    pub(crate) fn put(&self, key: &ObjectRef<Pgpool>, verdict: Arc<Verdict>) {
        let mut state = self.lock();
        let changed = state
            .entries
            .get(key)
            .is_none_or(|known| known.verdict != verdict);
        state.entries.insert(key.clone(), Entry { verdict, fresh: true });
        if changed {
            self.changed.wake(key);
        }
    }

    /// There is no verdict on this `Pgpool` any more.
    pub(crate) fn remove(&self, key: &ObjectRef<Pgpool>) {
        let mut state = self.lock();
        if state.entries.remove(key).is_some() {
            self.changed.wake(key);
        }
    }

    /// The stream has repeated everything that ops-manager knows: verdicts that it left out are gone.
    pub(crate) fn synced(&self) {
        let mut state = self.lock();
        let gone: Vec<_> = state
            .entries
            .iter()
            .filter(|(_, entry)| !entry.fresh)
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            state.entries.remove(&key);
            self.changed.wake(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is complete before the lock is released, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verdicts for Board {
    fn get(&self, pgpool: &Pgpool) -> Option<Arc<Verdict>> {
        let state = self.lock();
        let entry = state
            .entries
            .get(&ObjectRef::from_obj(pgpool))
            .filter(|entry| entry.fresh)?;
        (Some(&entry.verdict.pgpool.uid) == pgpool.meta().uid.as_ref()).then(|| entry.verdict.clone())
    }

    fn connected(&self) -> bool {
        self.lock().connected
    }

    fn changes(&self) -> BoxStream<'static, ObjectRef<Pgpool>> {
        self.changed.subscribe().boxed()
    }
}
