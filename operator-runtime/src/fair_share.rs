//! A limited number of places, shared among groups so that no group can keep the others out.
//!
//! A place is held until its owner is done, so a group that held all of them would delay everybody else for that long.
//! Therefore a group gets another place only while more places are free than it holds already: one group alone takes
//! half of all places, two take a third each, and so on. While there are fewer groups than places, one is free for the
//! next group at any time. Groups that wait take turns.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

#[cfg(test)]
mod tests;

/// The places. Clones share them.
///
/// ```
/// # use operator_runtime::FairShare;
/// # block_on(async {
/// let share = FairShare::new(4);
/// let _first = share.acquire("tenant-a").await;
/// let _second = share.acquire("tenant-a").await;
/// // The third place of tenant-a would leave one for all others together.
/// let _other = share.acquire("tenant-b").await;
/// # });
/// # fn block_on(future: impl Future<Output = ()>) {
/// #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
/// # }
/// ```
pub struct FairShare<K: Clone + Eq + Hash>(Arc<Mutex<State<K>>>);

struct State<K: Clone + Eq + Hash> {
    free: usize,
    /// Only groups that hold a place.
    held: HashMap<K, usize>,
    /// Only groups that wait.
    waiting: HashMap<K, VecDeque<oneshot::Sender<Permit<K>>>>,
    /// The groups that wait, the next one first.
    turns: VecDeque<K>,
}

/// A place; dropping it gives it back.
pub struct Permit<K: Clone + Eq + Hash> {
    share: FairShare<K>,
    /// Taken when the place is given back.
    group: Option<K>,
}

impl<K: Clone + Eq + Hash> Clone for FairShare<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> Debug for FairShare<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("FairShare")
    }
}

impl<K: Clone + Eq + Hash> Debug for Permit<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

impl<K: Clone + Eq + Hash> FairShare<K> {
    /// Creates so many places.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: places,
            held: HashMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
        })))
    }

    /// Waits for a place. The wait may be abandoned at any time.
    pub async fn acquire(&self, group: K) -> Permit<K> {
        loop {
            let place = {
                let mut state = self.lock();
                if state.may_take(&group) {
                    state.take(&group);
                    return self.permit(group);
                }
                state.wait(&group)
            };
            // Fails only when the place was given to nobody, which asking again repairs.
            if let Ok(permit) = place.await {
                return permit;
            }
        }
    }

    /// Takes a place if the group may have one now.
    #[must_use]
    pub fn try_acquire(&self, group: K) -> Option<Permit<K>> {
        let mut state = self.lock();
        if !state.may_take(&group) {
            return None;
        }
        state.take(&group);
        drop(state);
        Some(self.permit(group))
    }

    fn permit(&self, group: K) -> Permit<K> {
        Permit {
            share: self.clone(),
            group: Some(group),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // Each change is complete before the lock is released, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn may_take(&self, group: &K) -> bool {
        let held = self.held.get(group).copied().unwrap_or_default();
        self.free > 0 && (held == 0 || held < self.free)
    }

    fn take(&mut self, group: &K) {
        self.free = self.free.saturating_sub(1);
        let held = self.held.entry(group.clone()).or_default();
        *held = held.saturating_add(1);
    }

    fn give_back(&mut self, group: &K) {
        self.free = self.free.saturating_add(1);
        if let Some(held) = self.held.get_mut(group) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.held.remove(group);
            }
        }
    }

    fn wait(&mut self, group: &K) -> oneshot::Receiver<Permit<K>> {
        let (sender, receiver) = oneshot::channel();
        let queue = self.waiting.entry(group.clone()).or_default();
        if queue.is_empty() {
            self.turns.push_back(group.clone());
        }
        queue.push_back(sender);
        receiver
    }

    /// The next waiter that may take a permit; its group then goes to the back of the queue. Drops waiters that gave
    /// up.
    fn next(&mut self) -> Option<(K, oneshot::Sender<Permit<K>>)> {
        let mut passed = VecDeque::new();
        let mut found = None;
        while let Some(group) = self.turns.pop_front() {
            if let Some(queue) = self.waiting.get_mut(&group) {
                while queue.pop_front_if(|sender| sender.is_closed()).is_some() {}
            }
            if self.waiting.get(&group).is_none_or(VecDeque::is_empty) {
                self.waiting.remove(&group);
                continue;
            }
            if self.may_take(&group) {
                found = Some(group);
                break;
            }
            passed.push_back(group);
        }
        passed.append(&mut self.turns);
        self.turns = passed;
        let group = found?;
        let queue = self.waiting.get_mut(&group)?;
        let sender = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&group);
        } else {
            self.turns.push_back(group.clone());
        }
        self.take(&group);
        Some((group, sender))
    }
}

impl<K: Clone + Eq + Hash> Drop for Permit<K> {
    fn drop(&mut self) {
        let Some(group) = self.group.take() else {
            return;
        };
        self.share.lock().give_back(&group);
        loop {
            let next = self.share.lock().next();
            let Some((group, sender)) = next else {
                return;
            };
            // Whoever stopped waiting just now sends the permit back. It is dropped here, without the lock.
            let _ = sender.send(self.share.permit(group));
        }
    }
}
