use std::time::Duration;

use http::{Method, Request, Response};
use tokio::time::{Instant, advance};
use tower::{Layer, ServiceExt};

use super::{Fence, Fenced};

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
async fn it_closes_when_its_time_is_over() {
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
