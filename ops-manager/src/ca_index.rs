//! Which CAs have signed certificates of Pgpools in which namespaces, by the key of the CA.
//!
//! In memory only: each reconcile records its Pgpool, and until all have been recorded once after a start the answer is
//! [`CaUse::Unknown`]. Only a CA whose signature was verified counts. A CA that merely stands in the `ca.crt` of some Secret
//! proves nothing: anybody can copy it there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use operator_runtime::{WakeSet, Wakes};
use shared_types::Pgpool;
use tls_bundle::KeyId;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// How long a start may take. One Pgpool that cannot be reconciled must not keep the others waiting.
const LONGEST_START: Duration = Duration::from_mins(1);

/// Who else has certificates of a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CaUse {
    /// Not all Pgpools have been recorded yet.
    Unknown,
    /// No Pgpool of another namespace.
    Own,
    /// A Pgpool of another namespace.
    Elsewhere,
}

#[derive(Debug, Default)]
pub(crate) struct CaIndex {
    state: Mutex<State>,
    changed: WakeSet<ObjectRef<Pgpool>>,
}

#[derive(Debug, Default)]
struct State {
    pools: HashMap<ObjectRef<Pgpool>, Entry>,
    /// The namespaces of Pgpools whose certificates a key has signed, each with the number of these Pgpools.
    signed: HashMap<KeyId, BTreeMap<String, usize>>,
    /// The Pgpools that let clients of a key in.
    trusting: HashMap<KeyId, HashSet<ObjectRef<Pgpool>>>,
    start: Start,
}

#[derive(Debug, Default)]
struct Entry {
    /// `None` before it is recorded.
    signed_by: Option<BTreeSet<KeyId>>,
    trusts: BTreeSet<KeyId>,
}

#[derive(Debug, Default)]
enum Start {
    #[default]
    NotAsked,
    Since(Instant),
    Over,
}

impl CaIndex {
    /// The Pgpools to reconcile, because a CA that they trust is now used elsewhere or no longer is.
    pub(crate) fn changes(&self) -> Wakes<ObjectRef<Pgpool>> {
        self.changed.subscribe()
    }

    /// Registers the CAs whose clients a Pgpool lets in: it is woken when their use changes.
    pub(crate) fn trust(&self, pgpool: &ObjectRef<Pgpool>, keys: &BTreeSet<KeyId>) {
        self.lock().trust(pgpool, keys);
    }

    /// Records the CAs that have signed the accepted certificates of a Pgpool.
    pub(crate) fn record(&self, pgpool: &ObjectRef<Pgpool>, signed_by: &BTreeSet<KeyId>) {
        let woken = self.lock().record(pgpool, signed_by);
        self.wake(woken);
    }

    pub(crate) fn remove(&self, pgpool: &ObjectRef<Pgpool>) {
        let woken = {
            let mut state = self.lock();
            state.trust(pgpool, &BTreeSet::new());
            let woken = state.record(pgpool, &BTreeSet::new());
            state.pools.remove(pgpool);
            woken
        };
        self.wake(woken);
    }

    /// Who has certificates of any of these CAs, as seen from a namespace. `all` returns the Pgpools that have certificates;
    /// called only while this process starts.
    pub(crate) fn use_of(
        &self,
        namespace: &str,
        keys: &BTreeSet<KeyId>,
        all: impl FnOnce() -> Vec<ObjectRef<Pgpool>>,
    ) -> CaUse {
        let mut state = self.lock();
        let mut namespaces = keys.iter().filter_map(|key| state.signed.get(key)).flatten();
        if namespaces.any(|(of, _)| of != namespace) {
            return CaUse::Elsewhere;
        }
        if state.knows_all(all) {
            CaUse::Own
        } else {
            CaUse::Unknown
        }
    }

    fn wake(&self, pgpools: HashSet<ObjectRef<Pgpool>>) {
        for pgpool in pgpools {
            self.changed.wake(&pgpool);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn trust(&mut self, pgpool: &ObjectRef<Pgpool>, keys: &BTreeSet<KeyId>) {
        if keys.is_empty() && !self.pools.contains_key(pgpool) {
            return;
        }
        let entry = self.pools.entry(pgpool.clone()).or_default();
        let before = std::mem::replace(&mut entry.trusts, keys.clone());
        for key in before.difference(keys) {
            if let Some(trusting) = self.trusting.get_mut(key) {
                trusting.remove(pgpool);
                if trusting.is_empty() {
                    self.trusting.remove(key);
                }
            }
        }
        for key in keys.difference(&before) {
            self.trusting.entry(*key).or_default().insert(pgpool.clone());
        }
    }

    /// Returns the Pgpools to wake.
    fn record(
        &mut self,
        pgpool: &ObjectRef<Pgpool>,
        signed_by: &BTreeSet<KeyId>,
    ) -> HashSet<ObjectRef<Pgpool>> {
        let entry = self.pools.entry(pgpool.clone()).or_default();
        let before = entry.signed_by.replace(signed_by.clone()).unwrap_or_default();
        let namespace = pgpool.namespace.clone().unwrap_or_default();
        let mut woken = HashSet::new();
        for key in signed_by.symmetric_difference(&before) {
            let namespaces = self.signed.entry(*key).or_default();
            let many = namespaces.len();
            if signed_by.contains(key) {
                let pools = namespaces.entry(namespace.clone()).or_default();
                *pools = pools.saturating_add(1);
            } else if let Some(pools) = namespaces.get_mut(&namespace) {
                *pools = pools.saturating_sub(1);
                namespaces.retain(|_, pools| *pools > 0);
            }
            // Beyond the second namespace nothing changes for anybody.
            if many != namespaces.len() && many.min(namespaces.len()) < 2 {
                woken.extend(self.trusting.get(key).into_iter().flatten().cloned());
            }
            if self.signed.get(key).is_some_and(BTreeMap::is_empty) {
                self.signed.remove(key);
            }
        }
        woken.remove(pgpool);
        woken
    }

    fn knows_all(&mut self, all: impl FnOnce() -> Vec<ObjectRef<Pgpool>>) -> bool {
        let since = match self.start {
            Start::Over => return true,
            Start::Since(since) => since,
            Start::NotAsked => {
                let now = Instant::now();
                self.start = Start::Since(now);
                now
            }
        };
        let is_known = |pgpool: &ObjectRef<Pgpool>| {
            self.pools
                .get(pgpool)
                .is_some_and(|entry| entry.signed_by.is_some())
        };
        let over = since.elapsed() > LONGEST_START || all().iter().all(is_known);
        if over {
            self.start = Start::Over;
        }
        over
    }
}
