//! Whether this process still works, for `/livez` and for the lease.
//!
//! Three signs say that it does not: the async runtime does not run a task that only wakes up, one task has been
//! running for long without waiting for anything, or objects wait for a reconcile and none starts. A process with one
//! of them does not recover by itself: it is restarted, and gives up its lease first.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

/// How often the runtime shows that it runs tasks.
const BEAT: Duration = Duration::from_secs(5);
/// After how long without a beat the runtime counts as stuck.
const BEAT_MISSED: Duration = Duration::from_secs(30);
/// How long a task may run without waiting. The work for one object takes a fraction of a second.
const LONGEST_STEP: Duration = Duration::from_secs(30);
/// How long objects may wait without the start of any reconcile. Longer than one reconcile may take.
const LONGEST_WAIT: Duration = Duration::from_mins(4);

/// What the process does, observed from outside its tasks. Clones are the same.
#[derive(Clone, Debug)]
pub struct Liveness(Arc<Observed>);

#[derive(Debug)]
struct Observed {
    started: Instant,
    /// Of the last beat; 0 before the first.
    beat: Moment,
    steps: Mutex<HashMap<u64, Arc<Step>>>,
    queues: Mutex<Vec<(&'static str, Arc<Moment>)>>,
    last_number: AtomicU64,
}

/// Milliseconds after the start of the process; 0 is never.
#[derive(Debug, Default)]
struct Moment(AtomicU64);

/// A task, and since when it has been running without waiting.
#[derive(Debug)]
struct Step {
    task: String,
    since: Moment,
}

impl Default for Liveness {
    fn default() -> Self {
        Self(Arc::new(Observed {
            started: Instant::now(),
            beat: Moment::default(),
            steps: Mutex::default(),
            queues: Mutex::default(),
            last_number: AtomicU64::new(0),
        }))
    }
}

impl Liveness {
    /// Returns why this process counts as stuck, if it does.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        if let Some(missed) = self.longer_than(&self.0.beat, BEAT_MISSED) {
            return Some(format!("no task was run for {missed:?}"));
        }
        for step in lock(&self.0.steps).values() {
            if let Some(took) = self.longer_than(&step.since, LONGEST_STEP) {
                return Some(format!("{} runs for {took:?} without a pause", step.task));
            }
        }
        for (controller, since) in lock(&self.0.queues).iter() {
            if let Some(waited) = self.longer_than(since, LONGEST_WAIT) {
                return Some(format!(
                    "objects of controller {controller} wait and no reconcile started for {waited:?}"
                ));
            }
        }
        None
    }

    /// Shows that the runtime runs tasks, for ever. It must run on the runtime that is observed.
    pub(crate) async fn beat(self) {
        loop {
            self.note(&self.0.beat);
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Observes how long a task runs without waiting.
    pub(crate) fn observe<F: Future>(&self, task: impl Into<String>, future: F) -> Observing<F> {
        let step = Arc::new(Step {
            task: task.into(),
            since: Moment::default(),
        });
        let number = self.0.last_number.fetch_add(1, Ordering::Relaxed);
        lock(&self.0.steps).insert(number, Arc::clone(&step));
        Observing {
            future: Box::pin(future),
            entry: Entry {
                liveness: self.clone(),
                number,
            },
            step,
        }
    }

    /// Observes the queue of a controller.
    pub(crate) fn queue(&self, controller: &'static str) -> QueueLiveness {
        let since = Arc::new(Moment::default());
        lock(&self.0.queues).push((controller, Arc::clone(&since)));
        QueueLiveness {
            liveness: self.clone(),
            since,
        }
    }

    fn now(&self) -> u64 {
        let passed = self.0.started.elapsed().as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).max(1)
    }

    fn note(&self, moment: &Moment) {
        moment.0.store(self.now(), Ordering::Release);
    }

    fn longer_than(&self, moment: &Moment, limit: Duration) -> Option<Duration> {
        let since = moment.0.load(Ordering::Acquire);
        let passed = Duration::from_millis(self.now().saturating_sub(since));
        (since != 0 && passed > limit).then_some(passed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The queue of one controller, as [`Liveness`] sees it.
#[derive(Debug)]
pub(crate) struct QueueLiveness {
    liveness: Liveness,
    since: Arc<Moment>,
}

impl QueueLiveness {
    /// Reconciles were started as far as there is room. `waits` says whether objects are left.
    pub(crate) fn looked_at(&self, started: bool, waits: bool) {
        if !waits {
            self.since.0.store(0, Ordering::Release);
        } else if started || self.since.0.load(Ordering::Acquire) == 0 {
            self.liveness.note(&self.since);
        }
    }
}

/// A task that is observed; see [`Liveness::observe`].
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Observing<F> {
    future: Pin<Box<F>>,
    step: Arc<Step>,
    entry: Entry,
}

/// Ends the observation when it is dropped.
struct Entry {
    liveness: Liveness,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.liveness.0.steps).remove(&self.number);
    }
}

impl<F: Future> Future for Observing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.entry.liveness.note(&self.step.since);
        let polled = self.future.as_mut().poll(cx);
        self.step.since.0.store(0, Ordering::Release);
        polled
    }
}

#[cfg(test)]
mod tests;
