//! The fence in front of the API server: a process that does not lead cannot write.
//!
//! Leadership is checked when a request is sent, against a deadline on the monotonic clock. So a process that
//! was paused past its lease sends nothing when it continues, whatever its tasks had in progress. Requests about
//! Leases pass, since they are how a process becomes the leader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, Ready, ready};
use http::{Method, Request, Response};
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use crate::ownership::{Key, Ownership};

/// Until when this process leads. Clones share the deadline.
#[derive(Clone, Debug)]
pub struct Fence(Arc<State>);

#[derive(Debug)]
struct State {
    started: Instant,
    /// Milliseconds after `started` until which this process leads; 0 means it does not.
    until: AtomicU64,
}

/// A write was refused because this process does not lead.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this process does not hold its lease and must not write")]
pub struct Fenced;

impl Default for Fence {
    fn default() -> Self {
        Self(Arc::new(State {
            started: Instant::now(),
            until: AtomicU64::new(0),
        }))
    }
}

impl Fence {
    /// Returns whether this process leads at this moment.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let until = self.0.until.load(Ordering::Acquire);
        until == u64::MAX || self.0.started.elapsed() < Duration::from_millis(until)
    }

    /// Opens the fence until `deadline`.
    pub fn open_until(&self, deadline: Instant) {
        let millis = deadline.saturating_duration_since(self.0.started).as_millis();
        self.0
            .until
            .store(u64::try_from(millis).unwrap_or(u64::MAX - 1), Ordering::Release);
    }

    /// Opens the fence for good, for a process that needs no lease.
    pub fn open_for_good(&self) {
        self.0.until.store(u64::MAX, Ordering::Release);
    }

    /// Closes the fence.
    pub fn close(&self) {
        self.0.until.store(0, Ordering::Release);
    }
}

impl Ownership for Fence {
    fn owns(&self, _: Key<'_>) -> bool {
        self.is_open()
    }
}

impl<S> Layer<S> for Fence {
    type Service = FencedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FencedService {
            inner,
            fence: self.clone(),
        }
    }
}

/// A client that sends writes only while the fence is open.
#[derive(Clone, Debug)]
pub struct FencedService<S> {
    inner: S,
    fence: Fence,
}

impl<S, B, A> Service<Request<B>> for FencedService<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<
        futures::future::MapErr<S::Future, fn(S::Error) -> BoxError>,
        Ready<Result<S::Response, BoxError>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if passes(request.method(), request.uri().path()) || self.fence.is_open() {
            let convert: fn(S::Error) -> BoxError = Into::into;
            Either::Left(futures::TryFutureExt::map_err(self.inner.call(request), convert))
        } else {
            Either::Right(ready(Err(Fenced.into())))
        }
    }
}

fn passes(method: &Method, path: &str) -> bool {
    *method == Method::GET || *method == Method::HEAD || path.starts_with("/apis/coordination.k8s.io/")
}

#[cfg(test)]
mod tests;
