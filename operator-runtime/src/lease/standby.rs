//! The standby: watches the Lease, and takes it when it is released or expired.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::watcher::{self, watch_object};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::api::{LeaseApi, LeaseError, holder};
use crate::backoff::Backoff;
use crate::clock;

const RETRY: Backoff = Backoff {
    first: Duration::from_millis(250),
    cap: Duration::from_secs(5),
};

/// A Lease as last observed, and since when.
#[derive(Clone, Debug)]
pub struct Record {
    /// The Lease; `None` when there is none.
    pub lease: Option<Lease>,
    /// When this state was first observed here.
    pub since: Instant,
}

impl Record {
    /// Stores the observed state. Returns whether it shows that the holder is alive.
    fn update(&mut self, lease: Option<Lease>) -> bool {
        let alive = shows_life(self.lease.as_ref(), lease.as_ref());
        if alive {
            self.since = Instant::now();
        }
        self.lease = lease;
        alive
    }
}

/// What a standby may do with a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Take it now.
    Take,
    /// Wait for a change, at most until then.
    Wait(Instant),
}

/// Decides whether a Lease may be taken. Pure.
///
/// `fallback` is the duration that counts when the Lease names none.
#[must_use]
pub fn claim(record: &Record, identity: &str, fallback: Duration, now: Instant) -> Claim {
    let Some(lease) = &record.lease else {
        return Claim::Take;
    };
    match holder(lease) {
        None => Claim::Take,
        Some(holder) if holder == identity => Claim::Take,
        Some(_) => {
            let named = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
            let duration = named
                .and_then(|seconds| u64::try_from(seconds).ok())
                .map_or(fallback, Duration::from_secs);
            let expiry = clock::later(record.since, duration);
            if now >= expiry {
                Claim::Take
            } else {
                Claim::Wait(expiry)
            }
        }
    }
}

/// Waits until the Lease can be taken, and takes it. Returns it with the time at which that request was sent.
pub(super) async fn stand_by(api: &LeaseApi) -> (Lease, Instant) {
    let seen = watch_object(api.watched(), &api.config().name).map(|seen| match seen {
        Ok(Some(lease)) => lease.decoded().map(Some).map_err(watcher::Error::WatchFailed),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    });
    let mut seen = pin!(seen);
    let mut record = first(api, seen.as_mut()).await;
    let mut logged = None;
    let mut failures = 0_u32;
    loop {
        let now = Instant::now();
        match claim(&record, &api.config().identity, api.config().duration, now) {
            Claim::Take => match take(api, &record).await {
                Ok(lease) => return (lease, now),
                Err(error) => {
                    failures = failures.saturating_add(1);
                    explain(api, &error);
                    if let Ok(lease) = api.read().await {
                        // The watch may lag or be broken; the next attempt needs the current version.
                        record.update(lease);
                    }
                    let delay = RETRY.delay(failures, &mut rand::rng());
                    refresh(&mut record, seen.as_mut(), clock::after(delay)).await;
                }
            },
            Claim::Wait(until) => {
                let leader = record.lease.as_ref().and_then(holder).map(str::to_owned);
                if logged != leader {
                    info!(lease = %api.config().name, leader = leader.as_deref(), "standing by");
                    logged = leader;
                }
                refresh(&mut record, seen.as_mut(), until).await;
            }
        }
    }
}

async fn take(api: &LeaseApi, record: &Record) -> Result<Lease, LeaseError> {
    api.take(record.lease.as_ref()).await
}

fn explain(api: &LeaseApi, error: &LeaseError) {
    match error {
        LeaseError::Conflict | LeaseError::Missing => {
            debug!(lease = %api.config().name, %error, "another process was faster");
        }
        LeaseError::Timeout | LeaseError::Api(_) => {
            warn!(lease = %api.config().name, %error, "the lease could not be acquired");
        }
    }
}

type Seen = Result<Option<Lease>, watcher::Error>;

/// Waits until the Lease is observed for the first time.
async fn first(api: &LeaseApi, mut seen: impl Stream<Item = Seen> + Unpin) -> Record {
    let mut failures = 0_u32;
    loop {
        match seen.next().await {
            Some(Ok(lease)) => {
                return Record {
                    lease,
                    since: Instant::now(),
                };
            }
            Some(Err(error)) => {
                failures = failures.saturating_add(1);
                let delay = RETRY.delay(failures, &mut rand::rng());
                if failures.is_power_of_two() {
                    let error = crate::error_chain(&error);
                    warn!(lease = %api.config().name, %error, "the lease cannot be watched; grant get, list and watch on it");
                }
                tokio::time::sleep(delay).await;
            }
            // The watch never ends by itself.
            None => std::future::pending().await,
        }
    }
}

/// Waits for a change of the Lease, or until the time given.
async fn refresh(record: &mut Record, mut seen: impl Stream<Item = Seen> + Unpin, until: Instant) {
    loop {
        match tokio::time::timeout_at(until, seen.next()).await {
            Ok(Some(Ok(lease))) => {
                if record.update(lease) {
                    return;
                }
            }
            Ok(Some(Err(error))) => {
                debug!(error = %crate::error_chain(&error), "the watch of the lease failed");
                tokio::time::sleep_until(clock::after(RETRY.first).min(until)).await;
            }
            Ok(None) => tokio::time::sleep_until(until).await,
            Err(_) => return,
        }
    }
}

/// The holder is alive when the holder or the time of the renewal changed.
fn shows_life(before: Option<&Lease>, after: Option<&Lease>) -> bool {
    let signs = |lease: Option<&Lease>| {
        lease.and_then(|lease| lease.spec.as_ref()).map(|spec| {
            (
                spec.holder_identity.clone(),
                spec.renew_time.clone(),
                spec.lease_transitions,
            )
        })
    };
    signs(before) != signs(after)
}
