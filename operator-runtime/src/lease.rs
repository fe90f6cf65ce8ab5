//! Leadership: one Lease, one leader, warm standbys.
//!
//! Not `kube-lease-manager`: it compares leases by wall clocks, keeps acting as leader while renewals fail, and
//! lets a standby sleep until the expiry it last read instead of noticing a release.
//!
//! * A leader renews twice per renew deadline. When the deadline passes without a success, or another process
//!   holds the Lease, leadership is lost for good: the process exits, and its successor starts as a standby. The
//!   deadline is shorter than the duration after which a standby takes over, so that the two never overlap.
//! * A standby watches the Lease. It takes over at once when the Lease is released, and otherwise when the Lease
//!   did not change for its whole duration. That time is measured here, on the monotonic clock, from the moment
//!   the change was observed; the times in the Lease are informative only.
//! * Every write names the resource version it is based on, so only one of two concurrent attempts succeeds.
//!
//! * Both run on a thread with an async runtime and connections of their own, so that no work delays a renewal. The
//!   leader observes the work instead ([`Liveness`]): a process that is stuck stops to lead, and ends.
//!
//! The monotonic clock stops while a machine is suspended. After it resumes, a leader may still send what it had
//! in progress, until its first renewal fails.

mod api;
mod leader;
mod standby;
mod thread;

use std::sync::mpsc::Sender;
use std::time::Duration;

use kube::Client;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::api::LeaseApi;
pub use self::standby::{Claim, Record, claim};
pub use self::thread::ElectionError;
pub(crate) use self::thread::elect;
use crate::args::LeaseArgs;
use crate::fence::Fence;
use crate::identity::Identity;
use crate::liveness::Liveness;
use crate::metrics::Metrics;

/// The configuration of leader election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// The identity of this process. A process that finds its own identity in the Lease takes it over at once,
    /// since only one process of a pod runs at a time.
    pub identity: String,
    /// The field manager of the Lease.
    pub field_manager: String,
    /// How long a standby waits after the last change of the Lease.
    pub duration: Duration,
    /// How long a leader continues without a successful renewal.
    pub renew: Duration,
}

impl LeaseConfig {
    /// Returns the configuration from the flags; `None` with `--no-lease`.
    ///
    /// # Errors
    /// When the configuration is invalid, or the host has no name.
    pub fn from_args(
        identity: Identity,
        args: &LeaseArgs,
        namespace: String,
    ) -> Result<Option<Self>, LeaseConfigError> {
        if args.no_lease {
            return Ok(None);
        }
        let own_name = match &args.lease_identity {
            Some(identity) => identity.clone(),
            None => std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map_err(|_| LeaseConfigError::Nameless)?
                .trim()
                .to_owned(),
        };
        let config = Self {
            namespace: args.lease_namespace.clone().unwrap_or(namespace),
            name: args
                .lease_name
                .clone()
                .unwrap_or_else(|| identity.name.to_owned()),
            identity: own_name,
            field_manager: format!("{}-lease", identity.field_manager),
            duration: args.lease_duration,
            renew: args.lease_renew,
        };
        config.check()?;
        Ok(Some(config))
    }

    /// Checks that a leader stops before a standby takes over.
    ///
    /// # Errors
    /// When it would not, or when there is too little time for a renewal.
    pub fn check(&self) -> Result<(), LeaseConfigError> {
        if self.renew >= self.duration {
            return Err(LeaseConfigError::Overlap {
                renew: self.renew,
                duration: self.duration,
            });
        }
        if self.renew < Duration::from_secs(1) || self.duration < Duration::from_secs(2) {
            return Err(LeaseConfigError::TooShort);
        }
        Ok(())
    }
}

/// Why a configuration is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseConfigError {
    /// There could be two leaders at once.
    #[error("--lease-renew ({renew:?}) must be shorter than --lease-duration ({duration:?})")]
    Overlap {
        /// The renew deadline.
        renew: Duration,
        /// The duration.
        duration: Duration,
    },
    /// Two processes would have the same identity.
    #[error("this host has no name; set --lease-identity")]
    Nameless,
    /// One slow response would lose leadership.
    #[error("--lease-renew must be 1 s or more and --lease-duration 2 s or more")]
    TooShort,
}

/// Why leadership ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Renewals failed until the deadline.
    #[error("the lease could not be renewed for {0:?}")]
    Deadline(Duration),
    /// Another process holds the lease.
    #[error("the lease is held by {0}")]
    Taken(String),
    /// This process makes no progress.
    #[error("this process is stuck, so another one should lead: {0}")]
    Stuck(String),
    /// Nobody renews the lease.
    #[error("the renewal of the lease ended, which is a bug")]
    Ended,
}

/// What leader election reads and changes of its process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Open while this process leads.
    pub fence: Fence,
    /// The metrics to update.
    pub metrics: Metrics,
    /// Whether the process works; one that does not stops to lead.
    pub liveness: Liveness,
}

/// Held leadership. It is renewed in the background until it is released or lost.
#[derive(Debug)]
pub struct LeaseGuard {
    lost: oneshot::Receiver<Lost>,
    release: CancellationToken,
    /// Resolves when the renewal has ended.
    ended: oneshot::Receiver<()>,
    /// Dropped with the guard, which shows the thread of the renewal that the process noticed how it ended.
    _in_use: Option<Sender<()>>,
}

/// Waits until this process leads, however long that takes, and keeps renewing from then on, on the async runtime that
/// this is called on. The fence is open while it leads.
pub async fn acquire(client: Client, config: LeaseConfig, process: Process) -> LeaseGuard {
    let (leader, guard) = candidate(client, config, process).await;
    tokio::spawn(leader);
    guard
}

/// Waits until this process leads. Returns the future that renews the lease, and the guard that ends it.
async fn candidate(
    client: Client,
    config: LeaseConfig,
    process: Process,
) -> (impl Future<Output = ()> + Send + use<>, LeaseGuard) {
    let api = LeaseApi::new(client, config);
    process.metrics.leads(&api.config().name, false);
    let held = standby::stand_by(&api).await;
    let (lost, receiver) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let release = CancellationToken::new();
    let guard = LeaseGuard {
        lost: receiver,
        release: release.clone(),
        ended,
        _in_use: None,
    };
    let leader = leader::Leader::new(api, held, process);
    let renewing = async move {
        leader.keep(release, lost).await;
        // Nobody waits for it while the process ends otherwise.
        let _ = end.send(());
    };
    (renewing, guard)
}

impl LeaseGuard {
    /// Waits until leadership is lost. Cancel safe.
    pub async fn lost(&mut self) -> Lost {
        match (&mut self.lost).await {
            Ok(lost) => lost,
            // The renewal ends without a message after it released the lease, or by a panic.
            Err(_) if self.release.is_cancelled() => std::future::pending().await,
            Err(_) => Lost::Ended,
        }
    }

    /// Releases the lease, so that a standby takes over at once.
    pub async fn release(self) {
        self.release.cancel();
        // The renewal has a deadline, and nothing depends on its success.
        let _ = self.ended.await;
    }
}

#[cfg(test)]
mod tests;
