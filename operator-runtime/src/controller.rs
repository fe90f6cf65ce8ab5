//! Drives a reconcile function over a cache and a stream of triggers.
//!
//! It decides when an object is reconciled and how many are at a time; the operator decides what a reconcile
//! does. An object is never reconciled twice concurrently, at most `concurrency` objects are, and one that keeps
//! failing is retried with growing delays without delaying any other. Namespaces take turns, so the number of
//! objects of one does not delay those of another. About an object it keeps only the number of
//! consecutive failures and the outcome of its last reconcile, for metrics, until the object is deleted.
//!
//! Not `kube::runtime::applier`: it serves objects in the order of their triggers, from whichever namespace, and a panic
//! in one reconcile ends all of them.

mod attempt;
mod queue;
mod tracker;

use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::attempt::{Attempt, Next, attempt, panicked};
use self::queue::Queue;
use self::tracker::Tracker;
use crate::cache::{Availability, Cache};
use crate::liveness::Liveness;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::ownership::Ownership;

/// The class of a write to a namespace that is being deleted. It is no failure: the object is about to be deleted too.
pub(crate) const NAMESPACE_TERMINATING: &str = "namespace_terminating";

/// An error that knows its label in metrics.
pub trait Classified: std::error::Error {
    /// Returns the label, from a fixed set.
    fn class(&self) -> &'static str;
}

/// How a controller runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name in metrics and logs.
    pub name: &'static str,
    /// How many objects are reconciled concurrently.
    pub concurrency: u16,
    /// Cancelled when no reconcile may start any more.
    pub drain: CancellationToken,
    /// The metrics to update.
    pub metrics: Metrics,
    /// Whether this process acts on an object, checked at the start of every reconcile.
    pub ownership: Arc<dyn Ownership>,
    /// Where the controller shows that it makes progress.
    pub liveness: Liveness,
    /// Counts the reconciles in progress, also those that were aborted and did not end yet.
    pub reconciles: TaskTracker,
}

/// Reconciles objects until the drain begins, then lets reconciles in progress finish.
///
/// `triggers` names the objects to reconcile. Deleted ones must be among them, so that what is kept about them is
/// dropped. The function returns early when that stream ends.
pub async fn drive<K, C, E, Fut>(
    options: Options,
    cache: Cache<K>,
    triggers: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    context: Arc<C>,
    reconcile: impl Fn(Arc<K>, Arc<C>) -> Fut + Send + Sync + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    C: Send + Sync + 'static,
    E: Classified + Send + 'static,
    Fut: Future<Output = Result<Outcome, E>> + Send + 'static,
{
    if !listed(&cache, &options.drain).await {
        return;
    }
    let progress = options.liveness.queue(options.name);
    let mut controller = Controller::new(options, cache, context, reconcile);
    let mut triggers = pin!(triggers.take_until(controller.options.drain.clone().cancelled_owned()));
    let mut stops = false;
    loop {
        let mut started = false;
        if !stops {
            controller.queue.advance(Instant::now());
            started = controller.start();
            progress.looked_at(started, controller.queue.has_ready());
        } else if controller.running.is_empty() {
            progress.looked_at(started, false);
            return;
        }
        let due = controller.queue.next_due();
        tokio::select! {
            biased;
            Some(ended) = controller.running.join_next_with_id() => controller.ended(ended),
            trigger = triggers.next(), if !stops => match trigger {
                Some(key) => controller.triggered(key),
                None => stops = true,
            },
            () = until(due), if !stops => {}
        }
    }
}

/// Waits until the cache is filled. Returns false when the drain came first.
async fn listed<K>(cache: &Cache<K>, drain: &CancellationToken) -> bool
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    let mut availability = cache.watch_availability();
    tokio::select! {
        biased;
        () = drain.cancelled() => false,
        known = availability.wait_for(|known| known.whole() != Availability::Starting) => known.is_ok(),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What is queued, and what runs.
struct Controller<K, C, R>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    options: Options,
    cache: Cache<K>,
    context: Arc<C>,
    reconcile: Arc<R>,
    tracker: Arc<Tracker>,
    queue: Queue<ObjectRef<K>>,
    running: JoinSet<Next>,
    objects: HashMap<Id, ObjectRef<K>>,
}

impl<K, C, E, Fut, R> Controller<K, C, R>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    C: Send + Sync + 'static,
    E: Classified + Send + 'static,
    Fut: Future<Output = Result<Outcome, E>> + Send + 'static,
    R: Fn(Arc<K>, Arc<C>) -> Fut + Send + Sync + 'static,
{
    fn new(options: Options, cache: Cache<K>, context: Arc<C>, reconcile: R) -> Self {
        Self {
            tracker: Arc::new(Tracker::new(options.name, options.metrics.clone())),
            options,
            cache,
            context,
            reconcile: Arc::new(reconcile),
            queue: Queue::new(),
            running: JoinSet::new(),
            objects: HashMap::new(),
        }
    }

    fn triggered(&mut self, key: ObjectRef<K>) {
        self.tracker.queued(&key);
        self.queue.trigger(key);
    }

    /// Starts reconciles while there is room. Returns whether any was started.
    fn start(&mut self) -> bool {
        let mut started = false;
        while self.running.len() < usize::from(self.options.concurrency)
            && let Some(key) = self.queue.start()
        {
            started = true;
            let Some(object) = self.cache.get(key.namespace.as_deref(), &key.name) else {
                self.tracker.forget(&key);
                self.queue.finished(key, None);
                continue;
            };
            let attempt = attempt(Attempt {
                options: self.options.clone(),
                tracker: Arc::clone(&self.tracker),
                is_outdated: self
                    .cache
                    .undecodable(key.namespace.as_deref(), &key.name)
                    .is_some(),
                object,
                context: Arc::clone(&self.context),
                reconcile: Arc::clone(&self.reconcile),
            });
            let attempt = self
                .options
                .liveness
                .observe(format!("the reconcile of {key}"), attempt);
            let task = self.options.reconciles.track_future(attempt);
            let id = self.running.spawn(task).id();
            self.objects.insert(id, key);
        }
        started
    }

    fn ended(&mut self, ended: Result<(Id, Next), JoinError>) {
        let (id, next) = match ended {
            Ok((id, next)) => (id, Some(next)),
            Err(error) => (error.id(), None),
        };
        let Some(key) = self.objects.remove(&id) else {
            return;
        };
        let next = next.unwrap_or_else(|| panicked(&self.options, &self.tracker, &key));
        let due = next.and_then(|delay| Instant::now().checked_add(delay));
        self.queue.finished(key, due);
    }
}

#[cfg(test)]
mod tests;
