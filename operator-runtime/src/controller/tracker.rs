//! What a controller keeps about its objects: failures in a row, and what metrics show.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;
use tracing::info;

use crate::backoff::Backoff;
use crate::metrics::Metrics;
use crate::outcome::Outcome;

/// Outcome and reason, as labels.
type Place = (&'static str, &'static str);

const FAILING: &str = "failing";

#[derive(Debug)]
pub(super) struct Tracker {
    controller: &'static str,
    metrics: Metrics,
    backoff: Backoff,
    entries: Mutex<HashMap<Name, Entry>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name {
    namespace: Option<String>,
    name: String,
}

impl<K: Resource> From<&ObjectRef<K>> for Name {
    fn from(key: &ObjectRef<K>) -> Self {
        Self {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }
}

#[derive(Debug, Default)]
struct Entry {
    uid: Option<String>,
    failures: u32,
    place: Option<Place>,
    queued: Option<Instant>,
}

impl Tracker {
    pub(super) fn new(controller: &'static str, metrics: Metrics) -> Self {
        Self {
            controller,
            metrics,
            backoff: Backoff::default(),
            entries: Mutex::default(),
        }
    }

    pub(super) fn controller(&self) -> &'static str {
        self.controller
    }

    fn with<T>(&self, key: impl Into<Name>, f: impl FnOnce(&mut Entry) -> T) -> T {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        f(entries.entry(key.into()).or_default())
    }

    /// Notes that an object is to be looked at.
    pub(super) fn queued<K: Resource>(&self, key: &ObjectRef<K>) {
        self.with(key, |entry| {
            if entry.queued.is_none() {
                entry.queued = Some(Instant::now());
                self.metrics.queued(self.controller);
            }
        });
    }

    /// Notes that an object is looked at now.
    pub(super) fn taken<K: Resource>(&self, key: &ObjectRef<K>) {
        self.with(key, |entry| self.unqueue(entry));
    }

    fn unqueue(&self, entry: &mut Entry) {
        if let Some(queued) = entry.queued.take() {
            self.metrics.taken(self.controller, queued.elapsed());
        }
    }

    /// Notes an outcome, and says so when it differs from the last one.
    pub(super) fn succeeded<K>(&self, key: &ObjectRef<K>, uid: Option<&str>, outcome: Outcome)
    where
        K: Resource<DynamicType = ()>,
    {
        let place = (outcome.label(), outcome.reason().unwrap_or_default());
        self.with(key, |entry| {
            entry.failures = 0;
            if self.put(entry, place) || entry.uid.as_deref() != uid {
                entry.uid = uid.map(str::to_owned);
                let (outcome, reason) = place;
                info!(controller = self.controller, object = %key, outcome, reason, "reconciled");
            }
        });
    }

    /// Notes a failure. Returns how many in a row that makes, and how long to stay away.
    pub(super) fn failed<K: Resource>(&self, key: &ObjectRef<K>, class: &'static str) -> (u32, Duration) {
        self.metrics.failed(self.controller, class);
        self.with(key, |entry| {
            self.put(entry, (FAILING, class));
            entry.failures = entry.failures.saturating_add(1);
            (
                entry.failures,
                self.backoff.delay(entry.failures, &mut rand::rng()),
            )
        })
    }

    /// Moves an object in the metric. Returns whether it moved.
    fn put(&self, entry: &mut Entry, place: Place) -> bool {
        let before = entry.place.replace(place);
        if before == Some(place) {
            return false;
        }
        if let Some(before) = before {
            self.metrics.placed(self.controller, before, -1);
        }
        self.metrics.placed(self.controller, place, 1);
        true
    }

    /// Forgets an object that is gone.
    pub(super) fn forget<K: Resource>(&self, key: &ObjectRef<K>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut entry) = entries.remove(&Name::from(key)) {
            self.unqueue(&mut entry);
            if let Some(place) = entry.place {
                self.metrics.placed(self.controller, place, -1);
            }
        }
    }
}
