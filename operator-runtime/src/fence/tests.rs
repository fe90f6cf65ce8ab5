use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::{Pending, pending};
use http::{Method, Request, Response};
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt};

use super::{Fence, Fenced};
use crate::ownership::{Key, Ownership as _};

async fn passes(fence: &Fence, method: Method, path: &str) -> bool {
    let inner = tower::service_fn(|_: Request<()>| async { Ok::<_, std::io::Error>(Response::new(())) });
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    match fence.layer(inner).oneshot(request).await {
        Ok(_) => true,
        Err(error) => {
            assert!(error.is::<Fenced>());
            false
        }
    }
}

#[tokio::test]
async fn reads_and_the_lease_always_pass_and_writes_when_it_is_open() {
    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/op";
    const POD: &str = "/api/v1/namespaces/ns/pods/p";
    let fence = Fence::default();
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert!(!passes(&fence, method.clone(), POD).await, "{method}");
        assert!(passes(&fence, method, LEASE).await);
    }
    assert!(passes(&fence, Method::GET, POD).await);
    fence.open_until(Instant::now() + Duration::from_secs(10));
    assert!(passes(&fence, Method::PATCH, POD).await);
    fence.close();
    assert!(!passes(&fence, Method::PATCH, POD).await);
    fence.open_for_good();
    assert!(passes(&fence, Method::PATCH, POD).await);
}

#[tokio::test(start_paused = true)]
async fn it_closes_at_its_deadline() {
    let fence = Fence::default();
    advance(Duration::from_secs(100)).await;
    assert!(!fence.is_open());
    fence.open_until(Instant::now() + Duration::from_secs(10));
    advance(Duration::from_millis(9_990)).await;
    assert!(fence.is_open());
    fence.open_until(Instant::now() + Duration::from_secs(10));
    advance(Duration::from_millis(9_990)).await;
    assert!(fence.is_open(), "renewed");
    advance(Duration::from_millis(10)).await;
    assert!(!fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_deadline_beyond_all_time_still_passes() {
    let fence = Fence::default();
    fence.open_until(Instant::now() + Duration::from_secs(u64::MAX / 4));
    assert!(fence.is_open());
    advance(Duration::from_millis(u64::MAX)).await;
    assert!(!fence.is_open());
}

#[tokio::test]
async fn a_process_owns_objects_while_the_fence_is_open() {
    let pool = Key {
        namespace: Some("ns"),
        name: "pool",
    };
    let fence = Fence::default();
    assert!(!fence.owns(pool));
    fence.open_until(Instant::now() + Duration::from_mins(1));
    assert!(fence.owns(pool));
    fence.close();
    assert!(!fence.owns(pool));
}

#[tokio::test]
async fn the_fenced_service_is_ready_when_the_inner_one_is() {
    struct Inner(bool);
    impl Service<Request<()>> for Inner {
        type Response = Response<()>;
        type Error = std::io::Error;
        type Future = Pending<Result<Response<()>, std::io::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
            if self.0 {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            }
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            pending()
        }
    }
    for ready in [false, true] {
        let mut service = Fence::default().layer(Inner(ready));
        let polled = service.poll_ready(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled.is_ready(), ready);
    }
}
