//! The verdicts heard so far, in memory. Decides only whether a verdict is news.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use proto::verdict::Verdict;
use shared_types::Pgpool;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::Verdicts;

#[cfg(test)]
mod tests;

/// The verdicts of ops-manager, shared between the channel that hears them and the reconciles that ask for them.
///
/// An operator without a channel has a board on which nothing is ever written.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    connected: bool,
    entries: HashMap<ObjectRef<Pgpool>, Entry>,
    listeners: Vec<mpsc::UnboundedSender<ObjectRef<Pgpool>>>,
}

struct Entry {
    verdict: Arc<Verdict>,
    /// Heard on the present stream, not on one that was cut.
    fresh: bool,
}

impl State {
    fn tell(&mut self, key: &ObjectRef<Pgpool>) {
        self.listeners
            .retain(|listener| listener.send(key.clone()).is_ok());
    }
}

impl Board {
    /// Notes that a stream has begun: everything known will be said again on it.
    pub(crate) fn connect(&self) {
        self.lock().connected = true;
    }

    /// Notes that the stream was cut: nothing heard so far is relied on, and what is said again later is no news.
    pub(crate) fn disconnect(&self) {
        let mut state = self.lock();
        state.connected = false;
        for entry in state.entries.values_mut() {
            entry.fresh = false;
        }
    }

    /// Notes a verdict.
    pub(crate) fn put(&self, key: &ObjectRef<Pgpool>, verdict: Arc<Verdict>) {
        let mut state = self.lock();
        let news = state
            .entries
            .get(key)
            .is_none_or(|known| known.verdict != verdict);
        state.entries.insert(key.clone(), Entry { verdict, fresh: true });
        if news {
            state.tell(key);
        }
    }

    /// Notes that there is no verdict on this `Pgpool` any more.
    pub(crate) fn remove(&self, key: &ObjectRef<Pgpool>) {
        let mut state = self.lock();
        if state.entries.remove(key).is_some() {
            state.tell(key);
        }
    }

    /// Notes that the stream has said everything it knew when it began: what it left out is gone.
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
            state.tell(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is complete before the lock is given back, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().listeners.push(sender);
        UnboundedReceiverStream::new(receiver).boxed()
    }
}
