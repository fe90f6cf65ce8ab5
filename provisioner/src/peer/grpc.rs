//! Receives the verdicts of ops-manager over gRPC and stores them. Reconnects until the drain; decides nothing.

use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use operator_runtime::backoff::Backoff;
use operator_runtime::channel::client::ConnectError;
use proto::v1::WatchVerdictsRequest;
use proto::v1::verdict_service_client::VerdictServiceClient;
use proto::verdict::{Event, PgpoolId};
use shared_types::Pgpool;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;
use tracing::{debug, info, warn};

use super::{Board, Verdicts};
use crate::metrics::Metrics;

#[cfg(test)]
mod tests;

/// Between two attempts: short enough for the handoff grace to bridge a restart of ops-manager.
const RECONNECT: Backoff = Backoff {
    first: Duration::from_millis(250),
    cap: Duration::from_secs(10),
};

/// How long ops-manager may take to open the stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Follows the verdicts until the drain. Each attempt is a new connection: a connection to a replica that is not the leader
/// works, and would be kept.
pub(crate) async fn follow(
    connect: impl Fn() -> Result<Channel, ConnectError>,
    board: Board,
    metrics: Metrics,
    drain: CancellationToken,
) {
    let mut failures = 0_u32;
    loop {
        let end = tokio::select! {
            () = drain.cancelled() => return,
            end = listen(connect(), &board, &metrics) => end,
        };
        if board.connected() {
            board.disconnect();
            metrics.connected(false);
            failures = 0;
            info!("the channel to ops-manager is down: {end}");
        } else {
            // The normal state until the channel has its certificates, so not worth a line each time.
            debug!(failures, "the channel to ops-manager cannot be opened: {end}");
        }
        failures = failures.saturating_add(1);
        let pause = RECONNECT.delay(failures, &mut rand::rng());
        tokio::select! {
            () = drain.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Follows one stream; returns why it ended. An open stream has no deadline: the keep-alive of the transport ends dead ones.
async fn listen(channel: Result<Channel, ConnectError>, board: &Board, metrics: &Metrics) -> Status {
    let mut client = match channel {
        Ok(channel) => VerdictServiceClient::new(channel),
        Err(error) => return Status::invalid_argument(error.to_string()),
    };
    let answer = tokio::time::timeout(OPEN_TIMEOUT, client.watch_verdicts(WatchVerdictsRequest {})).await;
    let mut stream = match answer {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return status,
        Err(_) => return Status::deadline_exceeded("no answer"),
    };
    board.connect();
    metrics.connected(true);
    info!("the channel to ops-manager is open");
    loop {
        match stream.message().await {
            Ok(Some(message)) => match Event::try_from(message) {
                Ok(Event::Verdict(verdict)) => board.put(&reference(&verdict.pgpool), verdict),
                Ok(Event::Removed(id)) => board.remove(&reference(&id)),
                Ok(Event::Synced) => board.synced(),
                Ok(Event::Unknown) => debug!("ops-manager sent an event that this version does not know"),
                // One verdict that cannot be read must not cost the others.
                Err(malformed) => warn!("a verdict of ops-manager is malformed: {malformed}"),
            },
            Ok(None) => return Status::unavailable("the stream has ended"),
            Err(status) => return status,
        }
    }
}

fn reference(id: &PgpoolId) -> ObjectRef<Pgpool> {
    ObjectRef::new(&id.name).within(&id.namespace)
}
