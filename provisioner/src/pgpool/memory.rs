//! What this process remembers about each `Pgpool`: one [`PoolMemory`] for each, forgotten by one [`Memory::remove`].
//!
//! Losing it costs time or a request, never an end state: a restarted process sees the same cluster.

mod pending_writes;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use shared_types::Pgpool;
use tls_bundle::Fingerprint;

use crate::metrics::Metrics;

pub(crate) use pending_writes::PendingWrites;

#[cfg(test)]
mod tests;

/// Time between two writes of the status that differ in messages only.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

/// What is remembered about all Pgpools. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    /// What was written and is not in the caches yet.
    pub(crate) pending: PendingWrites,
    pools: Arc<Mutex<Pools>>,
    metrics: Metrics,
}

impl Memory {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            ..Self::default()
        }
    }

    /// Reads and changes what is remembered about one Pgpool.
    pub(crate) fn with<T>(&self, key: &ObjectRef<Pgpool>, change: impl FnOnce(&mut PoolMemory) -> T) -> T {
        change(self.lock().by_key.entry(key.clone()).or_default())
    }

    /// Records how far a rotation is, and how many pods serve another certificate than they should. Measures how long
    /// the rotation took when it is complete.
    pub(crate) fn record_rotation(
        &self,
        key: &ObjectRef<Pgpool>,
        rotation: Rotation,
        mismatches: usize,
        now: Timestamp,
    ) {
        let mut pools = self.lock();
        let pool = pools.by_key.entry(key.clone()).or_default();
        let before = std::mem::replace(&mut pool.mismatches, mismatches);
        if let Some(took) = pool.rotate(rotation, now) {
            self.metrics.rotated(took);
        }
        self.count_mismatches(&mut pools, before, mismatches);
    }

    /// Forgets a Pgpool that no longer exists.
    pub(crate) fn remove(&self, key: &ObjectRef<Pgpool>) {
        self.pending.forget(key);
        let mut pools = self.lock();
        if let Some(forgotten) = pools.by_key.remove(key) {
            self.count_mismatches(&mut pools, forgotten.mismatches, 0);
        }
    }

    fn count_mismatches(&self, pools: &mut Pools, before: usize, after: usize) {
        if before != after {
            pools.mismatches = pools.mismatches.saturating_sub(before).saturating_add(after);
            self.metrics.mismatched(pools.mismatches);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pools> {
        // A panic elsewhere leaves at most one entry out of date, which the next pass corrects.
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Pools {
    by_key: HashMap<ObjectRef<Pgpool>, PoolMemory>,
    /// Pods that serve another certificate than they should, in all of them: to count them again at each reconcile would take
    /// time with the square of the number of Pgpools.
    mismatches: usize,
}

/// What is remembered about one Pgpool.
#[derive(Debug, Default)]
pub(crate) struct PoolMemory {
    /// The certificates that are all there, and since when. The handoff grace counts from then: once for each set of
    /// certificates and each spec, and again after a restart.
    complete: Option<(CompleteSet, Timestamp)>,
    /// UIDs of pods that the API server refused to resize: they are replaced.
    rejected_resizes: BTreeSet<String>,
    /// When the status was last written.
    status_written: Option<Timestamp>,
    /// The TLS copy that pods are taking over, and since when.
    rotation: Option<(String, Timestamp)>,
    /// Pods that serve another certificate than they should.
    mismatches: usize,
}

/// The generation of the spec, and one leaf for each certificate; `None` where none can be read.
type CompleteSet = (Option<i64>, Vec<Option<Fingerprint>>);

/// How far a rotation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Pods have other certificates than this TLS copy.
    InProgress(String),
    /// All pods have it, and some are not proven.
    Proving,
    /// Every pod serves what it should.
    Done,
}

impl PoolMemory {
    /// How long these certificates have all been there under this generation of the spec. Zero when `leaves` is `None`:
    /// one is missing.
    pub(crate) fn complete_for(
        &mut self,
        generation: Option<i64>,
        leaves: Option<Vec<Option<Fingerprint>>>,
        now: Timestamp,
    ) -> Duration {
        let Some(leaves) = leaves else {
            self.complete = None;
            return Duration::ZERO;
        };
        let set = (generation, leaves);
        let since = match &self.complete {
            Some((known, since)) if *known == set => *since,
            _ => now,
        };
        self.complete = Some((set, since));
        // A clock that was set back gives a negative age.
        now.duration_since(since).try_into().unwrap_or_default()
    }

    pub(crate) fn reject_resize(&mut self, uid: &str) {
        self.rejected_resizes.insert(uid.to_owned());
    }

    /// Which of these pods cannot be resized. Forgets the pods that are gone.
    pub(crate) fn rejected_resizes(&mut self, uids: &[&str]) -> BTreeSet<String> {
        self.rejected_resizes.retain(|uid| uids.contains(&uid.as_str()));
        self.rejected_resizes.clone()
    }

    pub(crate) fn status_written(&mut self, now: Timestamp) {
        self.status_written = Some(now);
    }

    /// How long a change of messages alone has to wait, so that not every certificate that arrives costs a write;
    /// `None` when the status may be written now.
    pub(crate) fn status_pause(&self, now: Timestamp) -> Option<Duration> {
        let age: Duration = now
            .duration_since(self.status_written?)
            .try_into()
            .unwrap_or(STATUS_PAUSE);
        STATUS_PAUSE.checked_sub(age).filter(|left| !left.is_zero())
    }

    /// Returns how long a rotation took when it is complete. One that is overtaken by the next counts from there.
    fn rotate(&mut self, rotation: Rotation, now: Timestamp) -> Option<Duration> {
        match (rotation, &self.rotation) {
            (Rotation::InProgress(copy), Some((known, _))) if copy == *known => None,
            (Rotation::InProgress(copy), _) => {
                self.rotation = Some((copy, now));
                None
            }
            (Rotation::Done, Some((_, since))) => {
                let took = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
                self.rotation = None;
                Some(took)
            }
            (Rotation::Proving | Rotation::Done, _) => None,
        }
    }
}
