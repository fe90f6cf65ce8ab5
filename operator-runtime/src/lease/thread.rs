//! The thread on which leader election runs: work that never ends must neither delay a renewal nor keep the lease.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use futures::future::join;
use kube::Client;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{LeaseConfig, LeaseGuard, Process, candidate};
use crate::client::ClientError;

/// How long the process may take to end after it lost its lease.
const EXIT_GRACE: Duration = Duration::from_secs(5);

/// Why no thread waits for the lease.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// The system has no thread, or no memory for one.
    #[error("the thread of the leader election could not be started")]
    Thread(#[source] std::io::Error),
    /// It has no client.
    #[error("the leader election could not create a client for the API server")]
    Client(#[from] ClientError),
    /// The thread ended without an answer.
    #[error("the thread of the leader election ended, which is a bug")]
    Ended,
}

type Won = oneshot::Sender<Result<LeaseGuard, ElectionError>>;

/// As [`acquire`](super::acquire), on a thread with an async runtime of its own. `client` makes the client there, so
/// that its connections belong to that runtime.
///
/// # Errors
/// When there is no such thread, or no client.
pub(crate) async fn elect(
    client: impl FnOnce() -> Result<Client, ClientError> + Send + 'static,
    config: LeaseConfig,
    process: Process,
) -> Result<LeaseGuard, ElectionError> {
    let (won, answer) = oneshot::channel();
    let (in_use, ended) = channel();
    let stop = CancellationToken::new();
    // Ends the waiting when this future is dropped.
    let _stop = stop.clone().drop_guard();
    std::thread::Builder::new()
        .name("lease".to_owned())
        .spawn(move || run(client, config, process, won, &stop, &ended))
        .map_err(ElectionError::Thread)?;
    let guard = answer.await.map_err(|_| ElectionError::Ended)??;
    Ok(LeaseGuard {
        _in_use: Some(in_use),
        ..guard
    })
}

fn run(
    client: impl FnOnce() -> Result<Client, ClientError>,
    config: LeaseConfig,
    process: Process,
    won: Won,
    stop: &CancellationToken,
    ended: &Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Nobody waits any more when the process is stopping.
            let _ = won.send(Err(ElectionError::Thread(error)));
            return;
        }
    };
    let led = runtime.block_on(async {
        let client = match client() {
            Ok(client) => client,
            Err(error) => {
                let _ = won.send(Err(error.into()));
                return false;
            }
        };
        let (renewing, guard) = tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            candidate = candidate(client, config, process) => candidate,
        };
        match won.send(Ok(guard)) {
            Ok(()) => renewing.await,
            // The process began to stop in this moment.
            Err(unused) => {
                if let Ok(guard) = unused {
                    join(renewing, guard.release()).await;
                }
            }
        }
        true
    });
    if led && ended.recv_timeout(EXIT_GRACE) == Err(RecvTimeoutError::Timeout) {
        // It is stuck, and the kubelet would notice later.
        error!("the process does not end after the loss of its lease, and is ended");
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests;
