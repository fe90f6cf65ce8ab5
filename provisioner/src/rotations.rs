//! How long certificates take from a workload that wants them to pods that all serve them, and how many pods serve another
//! than they should.
//!
//! In memory only: a restart loses the measurement of what is under way, and counts anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use shared_types::Pgpool;

use crate::metrics::Metrics;

/// What is known of each Pgpool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rotations {
    metrics: Metrics,
    known: Arc<Mutex<HashMap<ObjectRef<Pgpool>, Known>>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The certificates that pods take over, and since when.
    underway: Option<(String, Timestamp)>,
    mismatches: usize,
}

/// How a rotation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// Pods have other certificates than these.
    Underway(String),
    /// All pods have them, and some are not proven.
    Proving,
    /// Every pod serves what it should.
    Done,
}

impl Rotations {
    /// Makes one that tells these metrics.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            known: Arc::default(),
        }
    }

    /// Notes how a Pgpool stands; `mismatches` is the number of pods that serve another certificate than they should.
    pub(crate) fn note(
        &self,
        key: &ObjectRef<Pgpool>,
        rotation: Rotation,
        mismatches: usize,
        now: Timestamp,
    ) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(key.clone()).or_default();
        entry.mismatches = mismatches;
        match (rotation, &entry.underway) {
            (Rotation::Underway(copy), Some((before, _))) if copy == *before => {}
            (Rotation::Underway(copy), _) => entry.underway = Some((copy, now)),
            (Rotation::Done, Some((_, since))) => {
                let took = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
                self.metrics.rotated(took);
                entry.underway = None;
            }
            (Rotation::Proving | Rotation::Done, _) => {}
        }
        self.count(&known);
    }

    /// Forgets a Pgpool that is gone.
    pub(crate) fn forget(&self, key: &ObjectRef<Pgpool>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.remove(key).is_some_and(|it| it.mismatches > 0) {
            self.count(&known);
        }
    }

    fn count(&self, known: &HashMap<ObjectRef<Pgpool>, Known>) {
        self.metrics
            .mismatched(known.values().map(|it| it.mismatches).sum());
    }
}

#[cfg(test)]
mod tests {
    use operator_runtime::metrics::SharedRegistry;

    use super::*;

    #[test]
    fn a_rotation_is_measured_once_and_from_its_beginning() {
        let registry = SharedRegistry::default();
        let rotations = Rotations::new(Metrics::register(&registry));
        let key = |name: &str| ObjectRef::new(name).within("demo");
        let note = |name: &str, rotation, mismatches, second| {
            let now = Timestamp::from_second(second).unwrap();
            rotations.note(&key(name), rotation, mismatches, now);
        };
        let underway = |copy: &str| Rotation::Underway(copy.to_owned());
        note("a", Rotation::Done, 0, 5);
        note("a", underway("x"), 1, 10);
        note("b", Rotation::Proving, 2, 11);
        note("a", underway("x"), 1, 12);
        let shows = |line: &str| {
            let text = registry.encode().unwrap();
            assert!(text.contains(line), "{line} is not in\n{text}");
        };
        shows("pgpool_served_fingerprint_mismatches 3");
        shows("pgpool_rotation_duration_seconds_count 0");
        note("a", Rotation::Proving, 0, 20);
        for _ in 0..2 {
            note("a", Rotation::Done, 0, 22);
        }
        shows("pgpool_rotation_duration_seconds_sum 12.0");
        shows("pgpool_rotation_duration_seconds_count 1");
        // Overtaken by the next: measured from there.
        note("a", underway("y"), 0, 30);
        note("a", underway("z"), 0, 40);
        note("a", Rotation::Done, 0, 45);
        shows("pgpool_rotation_duration_seconds_sum 17.0");
        rotations.forget(&key("b"));
        shows("pgpool_served_fingerprint_mismatches 0");
    }
}
