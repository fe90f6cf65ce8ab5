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
pub(super) struct Book {
    controller: &'static str,
    metrics: Metrics,
    backoff: Backoff,
    pages: Mutex<HashMap<Name, Page>>,
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
struct Page {
    uid: Option<String>,
    failures: u32,
    place: Option<Place>,
    queued: Option<Instant>,
}

impl Book {
    pub(super) fn new(controller: &'static str, metrics: Metrics) -> Self {
        Self {
            controller,
            metrics,
            backoff: Backoff::default(),
            pages: Mutex::default(),
        }
    }

    pub(super) fn controller(&self) -> &'static str {
        self.controller
    }

    fn with<T>(&self, key: impl Into<Name>, f: impl FnOnce(&mut Page) -> T) -> T {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        f(pages.entry(key.into()).or_default())
    }

    /// Notes that an object is to be looked at.
    pub(super) fn queued<K: Resource>(&self, key: &ObjectRef<K>) {
        self.with(key, |page| {
            if page.queued.is_none() {
                page.queued = Some(Instant::now());
                self.metrics.queued(self.controller);
            }
        });
    }

    /// Notes that an object is looked at now.
    pub(super) fn taken<K: Resource>(&self, key: &ObjectRef<K>) {
        self.with(key, |page| self.unqueue(page));
    }

    fn unqueue(&self, page: &mut Page) {
        if let Some(queued) = page.queued.take() {
            self.metrics.taken(self.controller, queued.elapsed());
        }
    }

    /// Notes an outcome, and says so when it differs from the last one.
    pub(super) fn succeeded<K>(&self, key: &ObjectRef<K>, uid: Option<&str>, outcome: Outcome)
    where
        K: Resource<DynamicType = ()>,
    {
        let place = (outcome.label(), outcome.reason().unwrap_or_default());
        self.with(key, |page| {
            page.failures = 0;
            if self.put(page, place) || page.uid.as_deref() != uid {
                page.uid = uid.map(str::to_owned);
                let (outcome, reason) = place;
                info!(controller = self.controller, object = %key, outcome, reason, "reconciled");
            }
        });
    }

    /// Notes a failure. Returns how many in a row that makes, and how long to stay away.
    pub(super) fn failed<K: Resource>(&self, key: &ObjectRef<K>, class: &'static str) -> (u32, Duration) {
        self.metrics.failed(self.controller, class);
        self.with(key, |page| {
            self.put(page, (FAILING, class));
            page.failures = page.failures.saturating_add(1);
            (page.failures, self.backoff.delay(page.failures, &mut rand::rng()))
        })
    }

    /// Moves an object in the metric. Returns whether it moved.
    fn put(&self, page: &mut Page, place: Place) -> bool {
        let before = page.place.replace(place);
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
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut page) = pages.remove(&Name::from(key)) {
            self.unqueue(&mut page);
            if let Some(place) = page.place {
                self.metrics.placed(self.controller, place, -1);
            }
        }
    }
}
