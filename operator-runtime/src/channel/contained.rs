//! A panic in one request of the channel fails that request, not the connection with all other requests of the peer.

use std::panic::AssertUnwindSafe;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Answers `INTERNAL` where a handler panics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contained;

impl<S> Layer<S> for Contained {
    type Service = ContainedService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ContainedService(inner)
    }
}

#[derive(Clone, Debug)]
pub(super) struct ContainedService<S>(S);

impl<S, B> Service<Request<B>> for ContainedService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = AssertUnwindSafe(self.0.call(request)).catch_unwind();
        Box::pin(response.map(|response| {
            response.unwrap_or_else(|_| {
                let status =
                    Status::internal("the handler panicked, which is a bug; see the log of the server");
                Ok(status.into_http())
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tonic::Code;
    use tower::{ServiceExt, service_fn};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_answer_to_one_request() {
        let mut service = Contained.layer(service_fn(async |request: Request<bool>| {
            assert!(!request.into_body(), "on purpose");
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
        for (panics, code) in [(false, None), (true, Some(Code::Internal)), (false, None)] {
            let ready = service.ready().await.unwrap();
            let response = ready.call(Request::new(panics)).await.unwrap();
            let status = Status::from_header_map(response.headers());
            assert_eq!(status.map(|status| status.code()), code);
        }
    }
}
