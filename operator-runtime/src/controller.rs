//! Drives a reconcile function over a cache and a stream of triggers.
//!
//! It decides when an object is reconciled and how many are at a time; the operator decides what a reconcile
//! does. An object is never reconciled twice concurrently, at most `concurrency` objects are, and one that keeps
//! failing is retried with growing delays without delaying any other. About an object it keeps only the number of
//! consecutive failures and the outcome of its last reconcile, for metrics, until the object is deleted.

mod tracker;

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::runtime::controller::{Action, Error};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Config, applier};
use kube::{Resource, ResourceExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::tracker::Tracker;
use crate::cache::{Availability, Cache};
use crate::error_chain;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::ownership::{Key, Ownership};

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
}

/// Reconciles objects until the drain, and lets reconciles in progress finish.
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
    let tracker = Arc::new(Tracker::new(options.name, options.metrics.clone()));
    let queue = {
        let tracker = Arc::clone(&tracker);
        triggers
            .inspect(move |key| tracker.queued(key))
            .take_until(options.drain.clone().cancelled_owned())
            .map(Ok::<_, Infallible>)
    };
    let retry = {
        let tracker = Arc::clone(&tracker);
        move |object: Arc<K>, error: &E, _: Arc<C>| failed(&tracker, &ObjectRef::from(object.as_ref()), error)
    };
    let config = Config::default().concurrency(options.concurrency);
    let reconcile = Arc::new(reconcile);
    let attempt = {
        let tracker = Arc::clone(&tracker);
        move |object, context| {
            Box::pin(attempt(
                options.clone(),
                Arc::clone(&tracker),
                Arc::clone(&reconcile),
                object,
                context,
            ))
        }
    };
    applier(attempt, retry, context, cache.store(), queue, config)
        .for_each(|end| {
            if let Err(Error::ObjectNotFound(key)) = end {
                tracker.forget(&key);
            }
            std::future::ready(())
        })
        .await;
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

async fn attempt<K, C, E, Fut>(
    options: Options,
    tracker: Arc<Tracker>,
    reconcile: Arc<impl Fn(Arc<K>, Arc<C>) -> Fut>,
    object: Arc<K>,
    context: Arc<C>,
) -> Result<Action, E>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
    E: Classified,
    Fut: Future<Output = Result<Outcome, E>>,
{
    let key = ObjectRef::from(object.as_ref());
    tracker.taken(&key);
    let namespace = object.meta().namespace.as_deref();
    let name = object.name_any();
    let ours = options.ownership.owns(Key {
        namespace,
        name: &name,
    });
    if options.drain.is_cancelled() || !ours {
        debug!(controller = options.name, object = %key, "skipped: this process does not own the object, or is stopping");
        return Ok(Action::await_change());
    }
    options.metrics.started(options.name);
    let started = Instant::now();
    let result = match reconcile(Arc::clone(&object), context).await {
        Err(error) if error.class() == NAMESPACE_TERMINATING => {
            debug!(controller = options.name, object = %key, "waiting for the deletion of the namespace");
            Ok(Outcome::Waiting {
                reason: "NamespaceTerminating",
                after: None,
            })
        }
        result => result,
    };
    let label = result.as_ref().map_or("error", |outcome| outcome.label());
    options.metrics.ended(options.name, label, started.elapsed());
    let outcome = result?;
    tracker.succeeded(&key, object.meta().uid.as_deref(), outcome);
    Ok(Action::requeue(outcome.requeue(&mut rand::rng())))
}

fn failed<K, E>(tracker: &Tracker, key: &ObjectRef<K>, error: &E) -> Action
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    E: Classified + 'static,
{
    let (failures, delay) = tracker.failed(key, error.class());
    let (controller, error) = (tracker.controller(), error_chain(error));
    // A lasting failure is logged at the 1st, 2nd, 4th, 8th… attempt.
    if failures.is_power_of_two() {
        warn!(controller, object = %key, failures, ?delay, %error, "reconcile failed");
    } else {
        debug!(controller, object = %key, failures, ?delay, %error, "reconcile failed");
    }
    Action::requeue(delay)
}

#[cfg(test)]
mod tests;
