//! Which object is reconciled next. Pure: time is an argument.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use tokio::time::Instant;

use crate::fair::{Lanes, Tenant};

/// The objects that wait for a reconcile, now or at a later time, and those that are reconciled.
///
/// An object is in it once, so triggers of an object that waits already cost nothing, and one that is triggered
/// during its reconcile is reconciled once more afterwards.
#[derive(Debug)]
pub(super) struct Queue<K> {
    states: HashMap<K, State>,
    ready: Lanes<K>,
    /// By due time; the number distinguishes those that are due at the same time.
    later: BTreeMap<(Instant, u64), K>,
    last_number: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Ready,
    Later(Instant, u64),
    Running { again: bool },
}

impl<K: Clone + Eq + Hash + Tenant> Queue<K> {
    pub(super) fn new() -> Self {
        Self {
            states: HashMap::new(),
            ready: Lanes::default(),
            later: BTreeMap::new(),
            last_number: 0,
        }
    }

    /// An object is to be reconciled as soon as possible.
    pub(super) fn trigger(&mut self, key: K) {
        match self.states.get_mut(&key) {
            Some(State::Ready) => return,
            Some(State::Running { again }) => {
                *again = true;
                return;
            }
            Some(State::Later(due, number)) => {
                self.later.remove(&(*due, *number));
            }
            None => {}
        }
        self.make_ready(key);
    }

    /// Moves what is due to what is ready.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(first) = self.later.first_entry()
            && first.key().0 <= now
        {
            let key = first.remove();
            self.make_ready(key);
        }
    }

    /// Returns when the next object is due, of those that are not ready.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.first_key_value().map(|((due, _), _)| *due)
    }

    /// Returns whether an object is ready.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the next object to reconcile. [`Queue::finished`] must follow.
    pub(super) fn start(&mut self) -> Option<K> {
        let key = self.ready.pop(usize::MAX)?;
        self.states.insert(key.clone(), State::Running { again: false });
        Some(key)
    }

    /// The reconcile of an object ended; it is due again at `due`, or earlier when it was triggered meanwhile.
    pub(super) fn finished(&mut self, key: K, due: Option<Instant>) {
        self.ready.done(key.tenant());
        let again = matches!(self.states.remove(&key), Some(State::Running { again: true }));
        if again {
            self.make_ready(key);
        } else if let Some(due) = due {
            self.last_number = self.last_number.wrapping_add(1);
            self.states
                .insert(key.clone(), State::Later(due, self.last_number));
            self.later.insert((due, self.last_number), key);
        }
    }

    fn make_ready(&mut self, key: K) {
        self.states.insert(key.clone(), State::Ready);
        self.ready.push(key);
    }
}

#[cfg(test)]
mod tests;
