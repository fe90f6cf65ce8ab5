//! Probes one pod. Decides only when a probe is due, never what its result means.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Permit, clock};
use shared_types::Pgpool;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::unanswered::Unanswered;
use super::{Access, Health, Pod, Probe};

/// How long a connection is kept without an answer. Longer, and one that was lost on the way would hide that the pod serves.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// A pod and how to log in to it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) pod: Pod,
    pub(super) access: Arc<Access>,
}

/// The connection of the last probe, which the pod has not answered.
struct Waiting {
    connection: Unanswered,
    until: Instant,
    _place: Permit<String>,
}

/// Probes the pod immediately when it is or becomes ready and when the login changes, and then once per period. A pod
/// that is not ready is probed once per period too, since the result explains to people why it is not.
///
/// While a probe waits for its answer, no other connection is opened. An answer that comes too late says that a child is free
/// now, so the pod is probed anew.
pub(super) async fn run(health: Health, key: ObjectRef<Pgpool>, mut targets: watch::Receiver<Target>) {
    let mut target = targets.borrow_and_update().clone();
    let mut due = if target.pod.ready {
        Instant::now()
    } else {
        clock::after(target.access.period)
    };
    let mut waiting: Option<Waiting> = None;
    loop {
        tokio::select! {
            () = health.0.drain.cancelled() => return,
            changed = targets.changed() => {
                if changed.is_err() {
                    return;
                }
                let new = targets.borrow_and_update().clone();
                if outdates_result(&target, &new) {
                    due = Instant::now();
                    waiting = None;
                } else if target.access.period != new.access.period {
                    due = due.min(clock::after(new.access.period));
                }
                target = new;
            }
            answer = AssertUnwindSafe(answer(&mut waiting)).catch_unwind() => {
                waiting = None;
                match answer {
                    Ok(late) if late.login.is_err() => health.record(&key, &target, late),
                    Ok(_) => due = Instant::now(),
                    Err(_) => {}
                }
            }
            () = sleep_until(due) => {
                // The period counts from the start of a probe, so that a slow answer does not stretch it.
                due = clock::after(target.access.period);
                if let Some(it) = waiting.take().filter(|it| Instant::now() < it.until) {
                    health.record(&key, &target, it.connection.so_far());
                    waiting = Some(it);
                    continue;
                }
                let permit = health.0.connections.acquire(key.namespace.clone().unwrap_or_default()).await;
                // Addresses pass from pod to pod: what was known before the wait may be outdated.
                target = targets.borrow_and_update().clone();
                let (pod, access) = (target.pod.clone(), target.access.clone());
                let probe = AssertUnwindSafe(health.0.prober.probe(pod, access)).catch_unwind().await;
                drop(permit);
                // A panic is logged and counted where it happens; the pod is probed again after the period.
                if let Ok(mut probe) = probe {
                    waiting = probe.unanswered.take().and_then(|it| keep(&health, &key, it));
                    health.record(&key, &target, probe);
                }
            }
        }
    }
}

/// Keeps a connection that was not answered, if its namespace may have one more.
fn keep(health: &Health, key: &ObjectRef<Pgpool>, connection: Unanswered) -> Option<Waiting> {
    let namespace = key.namespace.clone().unwrap_or_default();
    Some(Waiting {
        connection,
        until: clock::after(LONGEST_WAIT),
        _place: health.0.unanswered.try_acquire(namespace)?,
    })
}

/// The end of the connection that waits; never, if there is none.
async fn answer(waiting: &mut Option<Waiting>) -> Probe {
    match waiting {
        Some(waiting) => waiting.connection.end().await,
        None => std::future::pending().await,
    }
}

/// Whether a change makes the last result meaningless.
fn outdates_result(before: &Target, now: &Target) -> bool {
    if !now.pod.ready {
        return false;
    }
    let (old, new) = (&before.access, &now.access);
    !before.pod.ready
        || before.pod.ip != now.pod.ip
        || before.pod.identity != now.pod.identity
        || before.pod.address_refusal != now.pod.address_refusal
        || old.server_names != new.server_names
        || old.ssl_mode != new.ssl_mode
        || old.client != new.client
        || old.login != new.login
        || old.writes != new.writes
}
