//! What a controller keeps about its objects: consecutive failures, and the outcome for metrics.

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
type State = (&'static str, &'static str);

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
    state: Option<State>,
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

    /// An object was triggered.
    pub(super) fn queued<K: Resource>(&self, key: &ObjectRef<K>) {
        self.with(key, |entry| {
            if entry.queued.is_none() {
                entry.queued = Some(Instant::now());
                self.metrics.queued(self.controller);
            }
        });
    }

    /// The reconcile of an object starts.
    pub(super) fn taken<K: Resource>(&self, key: &ObjectRef<K>) {
        self.with(key, |entry| self.unqueue(entry));
    }

    fn unqueue(&self, entry: &mut Entry) {
        if let Some(queued) = entry.queued.take() {
            self.metrics.taken(self.controller, queued.elapsed());
        }
    }

    /// Stores an outcome, and logs it when it differs from the last one.
    pub(super) fn succeeded<K>(&self, key: &ObjectRef<K>, uid: Option<&str>, outcome: Outcome)
    where
        K: Resource<DynamicType = ()>,
    {
        let state = (outcome.label(), outcome.reason().unwrap_or_default());
        self.with(key, |entry| {
            entry.failures = 0;
            if self.set_state(entry, state) || entry.uid.as_deref() != uid {
                entry.uid = uid.map(str::to_owned);
                let (outcome, reason) = state;
                info!(controller = self.controller, object = %key, outcome, reason, "reconciled");
            }
        });
    }

    /// Stores a failure. Returns the number of consecutive failures, and the delay before the next attempt: no
    /// shorter than what the API server `asked` for, as far as that is no longer than the longest delay.
    pub(super) fn failed<K: Resource>(
        &self,
        key: &ObjectRef<K>,
        class: &'static str,
        asked: Option<Duration>,
    ) -> (u32, Duration) {
        self.metrics.failed(self.controller, class);
        self.with(key, |entry| {
            self.set_state(entry, (FAILING, class));
            entry.failures = entry.failures.saturating_add(1);
            let delay = self.backoff.delay(entry.failures, &mut rand::rng());
            let asked = asked.unwrap_or_default().min(self.backoff.cap);
            (entry.failures, delay.max(asked))
        })
    }

    /// Updates the metric. Returns whether the state changed.
    fn set_state(&self, entry: &mut Entry, state: State) -> bool {
        let before = entry.state.replace(state);
        if before == Some(state) {
            return false;
        }
        if let Some(before) = before {
            self.metrics.placed(self.controller, before, -1);
        }
        self.metrics.placed(self.controller, state, 1);
        true
    }

    /// Drops an object that was deleted.
    pub(super) fn forget<K: Resource>(&self, key: &ObjectRef<K>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut entry) = entries.remove(&Name::from(key)) {
            self.unqueue(&mut entry);
            if let Some(state) = entry.state {
                self.metrics.placed(self.controller, state, -1);
            }
        }
    }
}
