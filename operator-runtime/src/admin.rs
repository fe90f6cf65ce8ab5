//! The admin endpoint: liveness, readiness, metrics, over plain HTTP on loopback.
//!
//! It responds from the start of the process until its end, with and without leadership. It changes nothing. It runs on
//! the async runtime that does the work, so it does not respond when that runtime is stuck.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::liveness::Liveness;
use crate::metrics::SharedRegistry;
use crate::readiness::Gates;

/// What the endpoint reports.
#[derive(Clone, Debug)]
pub struct Admin {
    /// What readiness waits for.
    pub gates: Gates,
    /// What `/metrics` prints.
    pub registry: SharedRegistry,
    /// Cancelled when the process begins to stop; from then on it is not ready.
    pub drain: CancellationToken,
    /// Whether the process makes progress; one that does not is not alive.
    pub liveness: Liveness,
}

impl Admin {
    /// Returns the routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(self)
    }

    /// Binds the address and serves until `stop` is cancelled.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn serve(
        self,
        address: SocketAddr,
        stop: CancellationToken,
    ) -> std::io::Result<tokio::task::JoinHandle<std::io::Result<()>>> {
        let listener = TcpListener::bind(address).await?;
        let served = axum::serve(listener, self.router())
            .with_graceful_shutdown(async move { stop.cancelled().await });
        Ok(tokio::spawn(async move { served.await }))
    }
}

async fn livez(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.liveness.stuck() {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("stuck: {why}\n")),
    }
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.drain.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    let closed = admin.gates.closed();
    if closed.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let body = format!("waiting for {}\n", closed.join("\nwaiting for "));
    (StatusCode::SERVICE_UNAVAILABLE, body)
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.registry.encode() {
        Ok(text) => (
            StatusCode::OK,
            [(
                header::CONTENT_TYPE,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests;
