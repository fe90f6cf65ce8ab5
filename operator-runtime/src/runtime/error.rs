//! Why a process did not start, or ended with a failure.

use std::net::SocketAddr;
use std::time::Duration;

use tower::BoxError;
use tracing_subscriber::filter::ParseError;

use crate::client::ClientError;
use crate::lease::{ElectionError, LeaseConfigError, Lost};

/// Why a process did not start, or ended with a failure.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The log filter cannot be parsed.
    #[error("--log-filter is invalid")]
    LogFilter(#[from] ParseError),
    /// There is no client for the API server.
    #[error("the cluster cannot be reached")]
    Client(#[from] ClientError),
    /// The flags of the lease contradict each other.
    #[error(transparent)]
    LeaseConfig(#[from] LeaseConfigError),
    /// Another process uses the admin address, most likely.
    #[error("the admin address {address} cannot be bound")]
    AdminAddress {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The signal handlers cannot be installed.
    #[error("signals cannot be received")]
    Signals(#[source] std::io::Error),
    /// A task ended before the drain.
    #[error("the task {0} ended, which it must not")]
    TaskEnded(&'static str),
    /// A task failed.
    #[error("the task {name} failed")]
    TaskFailed {
        /// The name of the task.
        name: &'static str,
        /// Its error.
        #[source]
        source: BoxError,
    },
    /// A task was ended from outside.
    #[error("a task was aborted")]
    TaskAborted,
    /// There is no leader election.
    #[error(transparent)]
    Election(#[from] ElectionError),
    /// The admin endpoint ended before the process.
    #[error("the admin endpoint ended")]
    AdminEnded,
    /// The admin endpoint failed.
    #[error("the admin endpoint failed")]
    AdminFailed(#[source] std::io::Error),
    /// Another process may lead now.
    #[error(transparent)]
    LeadershipLost(#[from] Lost),
    /// A second signal skipped the drain.
    #[error("stopped immediately by a second signal")]
    StopForced,
    /// Some tasks ignored the drain.
    #[error("the tasks did not end within {0:?}")]
    DrainTimeout(Duration),
}
