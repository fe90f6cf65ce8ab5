//! Stands before one pod and asks it when it is due. Decides only when; never what a result means.

use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;
use shared_types::Pgpool;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Access, Health, Pod};

/// What is known of the pod and of the login.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) pod: Pod,
    pub(super) access: Arc<Access>,
}

/// Asks the pod at once when it is or becomes ready, or when the login changes, and then once in each period. A pod
/// that is not ready is asked too, at the slow pace alone: the answer tells people why.
pub(super) async fn stand(health: Health, key: ObjectRef<Pgpool>, mut orders: watch::Receiver<Orders>) {
    let mut known = orders.borrow_and_update().clone();
    let mut due = if known.pod.ready {
        Instant::now()
    } else {
        Instant::now() + known.access.period
    };
    loop {
        tokio::select! {
            () = health.0.drain.cancelled() => return,
            changed = orders.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = orders.borrow_and_update().clone();
                if urgent(&known, &now) {
                    due = Instant::now();
                } else if known.access.period != now.access.period {
                    due = due.min(Instant::now() + now.access.period);
                }
                known = now;
            }
            () = sleep_until(due) => {
                // Counted from the start of the question, so that a slow answer does not stretch the period.
                due = Instant::now() + known.access.period;
                if let Some(probe) = health.ask(&known).await {
                    health.report(&key, &known, probe);
                }
            }
        }
    }
}

/// Whether a change makes the last answer worthless.
fn urgent(before: &Orders, now: &Orders) -> bool {
    let login = |access: &Access| {
        (
            access.server_name.clone(),
            access.ssl_mode,
            access.trust.clone(),
            access.client.clone(),
            access.login.clone(),
            access.writes,
        )
    };
    now.pod.ready
        && (!before.pod.ready || before.pod.ip != now.pod.ip || login(&before.access) != login(&now.access))
}
