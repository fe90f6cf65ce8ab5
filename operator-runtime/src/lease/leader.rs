//! The leader: renews in time, or stops.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::api::{LeaseApi, LeaseError, holder};
use super::{Lost, Process};
use crate::clock;

/// How long to wait after a failed renewal.
const RETRY: Duration = Duration::from_secs(1);
/// How long to wait after the Lease was read again because somebody else wrote it.
const SOON: Duration = Duration::from_millis(250);

pub(super) struct Leader {
    api: LeaseApi,
    held: Lease,
    /// When the last successful renewal was sent.
    renewed: Instant,
    process: Process,
}

impl Leader {
    /// `held` is the Lease and when the request that took it was sent.
    pub(super) fn new(api: LeaseApi, (held, renewed): (Lease, Instant), process: Process) -> Self {
        process
            .fence
            .open_until(clock::later(renewed, api.config().renew));
        process.metrics.leads(&api.config().name, true);
        info!(lease = %api.config().name, identity = %api.config().identity, "leading");
        Self {
            api,
            held,
            renewed,
            process,
        }
    }

    /// Renews until `release` is cancelled or leadership is lost.
    pub(super) async fn keep(mut self, release: CancellationToken, lost: oneshot::Sender<Lost>) {
        let ended = tokio::select! {
            biased;
            () = release.cancelled() => None,
            why = self.renew_until_lost() => Some(why),
        };
        self.process.fence.close();
        self.process.metrics.leads(&self.api.config().name, false);
        if let Some(why) = ended {
            warn!(lease = %self.api.config().name, %why, "leadership is lost");
            // The receiver is gone when the process is exiting anyway.
            let _ = lost.send(why);
            return;
        }
        match self.release().await {
            Ok(()) => info!(lease = %self.api.config().name, "lease released"),
            Err(error) => {
                warn!(lease = %self.api.config().name, %error, "lease not released; a standby waits for its expiry");
            }
        }
    }

    async fn renew_until_lost(&mut self) -> Lost {
        let renew = self.api.config().renew;
        let half = renew.checked_div(2).unwrap_or_default();
        let mut next = clock::later(self.renewed, half);
        loop {
            let deadline = clock::later(self.renewed, renew);
            tokio::time::sleep_until(next.min(deadline)).await;
            if Instant::now() >= deadline {
                return Lost::Deadline(renew);
            }
            if let Some(why) = self.process.liveness.stuck() {
                return Lost::Stuck(why);
            }
            let sent = Instant::now();
            let attempt = tokio::time::timeout_at(deadline, self.api.renew(&self.held)).await;
            let Ok(attempt) = attempt else {
                return Lost::Deadline(renew);
            };
            match attempt {
                Ok(lease) => {
                    self.hold(lease, sent);
                    next = clock::later(sent, half);
                }
                Err(LeaseError::Conflict | LeaseError::Missing) => match self.recover().await {
                    Some(lost) => return lost,
                    None => next = clock::after(SOON),
                },
                Err(error) => {
                    debug!(lease = %self.api.config().name, %error, "renewal failed");
                    next = clock::after(RETRY);
                }
            }
        }
    }

    fn hold(&mut self, lease: Lease, sent: Instant) {
        self.held = lease;
        self.renewed = sent;
        self.process
            .fence
            .open_until(clock::later(sent, self.api.config().renew));
    }

    /// Reads the Lease after someone else wrote it. An annotation or a deletion is no reason to stop; another
    /// holder is.
    async fn recover(&mut self) -> Option<Lost> {
        let sent = Instant::now();
        match self.api.read().await {
            Ok(Some(lease)) => {
                let ours = holder(&lease) == Some(&self.api.config().identity);
                let who = holder(&lease).unwrap_or("no one").to_owned();
                self.held = lease;
                (!ours).then_some(Lost::Taken(who))
            }
            // A standby may create it first; then this conflicts.
            Ok(None) => {
                if let Ok(lease) = self.api.take(None).await {
                    self.hold(lease, sent);
                }
                None
            }
            Err(error) => {
                debug!(lease = %self.api.config().name, %error, "the lease could not be read");
                None
            }
        }
    }

    async fn release(&mut self) -> Result<(), LeaseError> {
        match self.api.release(&self.held).await {
            Ok(_) | Err(LeaseError::Missing) => Ok(()),
            // A renewal that was in progress when the release began may have succeeded.
            Err(LeaseError::Conflict) => match self.api.read().await? {
                Some(lease) if holder(&lease) == Some(&self.api.config().identity) => {
                    self.api.release(&lease).await.map(|_| ())
                }
                _ => Ok(()),
            },
            Err(error) => Err(error),
        }
    }
}
