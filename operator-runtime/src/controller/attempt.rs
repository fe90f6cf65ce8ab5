//! One reconcile of one object: its limits, its metrics, and what follows from how it ends.

use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::tracker::Tracker;
use super::{Classified, NAMESPACE_TERMINATING, Options};
use crate::outcome::Outcome;
use crate::ownership::Key;
use crate::{error_chain, retry_after};

/// How long a reconcile may take. Each of its requests takes at most 5 s, so only a fault lets it run longer.
const LIMIT: Duration = Duration::from_mins(2);
/// The class of a reconcile that took longer than [`LIMIT`].
const TIMEOUT: &str = "timeout";
/// The class of a reconcile that panicked.
const PANIC: &str = "panic";

/// The outcome of an object whose present state cannot be decoded.
const UNDECODABLE: Outcome = Outcome::Rejected {
    reason: "DecodeFailed",
};

/// After what time the object is reconciled again; `None` when only a trigger does that.
pub(super) type Next = Option<Duration>;

/// What one reconcile needs.
pub(super) struct Attempt<K, C, R> {
    pub(super) options: Options,
    pub(super) tracker: Arc<Tracker>,
    pub(super) object: Arc<K>,
    /// Whether this is not the present state of the object, because that cannot be decoded.
    pub(super) is_outdated: bool,
    pub(super) context: Arc<C>,
    pub(super) reconcile: Arc<R>,
}

/// Reconciles an object once.
pub(super) async fn attempt<K, C, E, Fut, R>(attempt: Attempt<K, C, R>) -> Next
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    E: Classified + 'static,
    Fut: Future<Output = Result<Outcome, E>>,
    R: Fn(Arc<K>, Arc<C>) -> Fut,
{
    let Attempt {
        options,
        tracker,
        object,
        is_outdated,
        context,
        reconcile,
    } = attempt;
    let key = ObjectRef::from(object.as_ref());
    tracker.taken(&key);
    let name = object.name_any();
    let ours = options.ownership.owns(Key {
        namespace: object.meta().namespace.as_deref(),
        name: &name,
    });
    if options.drain.is_cancelled() || !ours {
        debug!(controller = options.name, object = %key, "skipped: this process does not own the object, or is stopping");
        return None;
    }
    if is_outdated {
        // Whatever runs for it stays as it is.
        debug!(controller = options.name, object = %key, "skipped: the object cannot be decoded");
        tracker.succeeded(&key, object.meta().uid.as_deref(), UNDECODABLE);
        return None;
    }
    options.metrics.started(options.name);
    let running = Running {
        options: &options,
        started: Instant::now(),
        result: "error",
    };
    let (ended, asked) = retry_after::collect(timeout(LIMIT, reconcile(Arc::clone(&object), context))).await;
    let outcome = match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) if error.class() == NAMESPACE_TERMINATING => {
            debug!(controller = options.name, object = %key, "waiting for the deletion of the namespace");
            Outcome::Waiting {
                reason: "NamespaceTerminating",
                after: None,
            }
        }
        Ok(Err(error)) => return Some(failed(&tracker, &key, error.class(), &error_chain(&error), asked)),
        Err(_) => {
            let error = format!("it took longer than {LIMIT:?} and was ended");
            return Some(failed(&tracker, &key, TIMEOUT, &error, asked));
        }
    };
    running.end(outcome.label());
    tracker.succeeded(&key, object.meta().uid.as_deref(), outcome);
    Some(outcome.requeue(&mut rand::rng()))
}

/// The reconcile of an object panicked.
pub(super) fn panicked<K>(options: &Options, tracker: &Tracker, key: &ObjectRef<K>) -> Next
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    if options.drain.is_cancelled() {
        return None;
    }
    let error = "it panicked, which is a bug; an earlier line of the log has the location";
    Some(failed(tracker, key, PANIC, error, None))
}

/// Returns when to retry.
fn failed<K>(
    tracker: &Tracker,
    key: &ObjectRef<K>,
    class: &'static str,
    error: &str,
    asked: Option<Duration>,
) -> Duration
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let (failures, delay) = tracker.failed(key, class, asked);
    let controller = tracker.controller();
    // A lasting failure is logged at the 1st, 2nd, 4th, 8th… attempt.
    if failures.is_power_of_two() {
        warn!(controller, object = %key, failures, ?delay, %error, "reconcile failed");
    } else {
        debug!(controller, object = %key, failures, ?delay, %error, "reconcile failed");
    }
    delay
}

/// Counts a reconcile as ended, with a failure unless [`Running::end`] says otherwise: it may panic or be aborted.
struct Running<'a> {
    options: &'a Options,
    started: Instant,
    result: &'static str,
}

impl Running<'_> {
    fn end(mut self, result: &'static str) {
        self.result = result;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.options.metrics.ended(self.options.name, self.result, took);
    }
}
