//! The client against a server that refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::Connector;
use crate::fence::Fence;
use crate::metrics::{Metrics, SharedRegistry};
use crate::retry_after;

/// Answers every request with this status. Returns the address and the number of requests so far.
async fn refusing(status: &'static str) -> (http::Uri, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 16_384];
            let _ = stream.read(&mut request).await;
            seen.fetch_add(1, Ordering::SeqCst);
            let answer = format!(
                "HTTP/1.1 {status}\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (format!("http://{address}").parse().unwrap(), count)
}

#[tokio::test]
async fn a_refused_request_is_sent_once_and_the_delay_is_read() {
    for (status, asked) in [
        ("429 Too Many Requests", Some(Duration::from_secs(7))),
        ("503 Service Unavailable", Some(Duration::from_secs(7))),
        ("504 Gateway Timeout", None),
    ] {
        let (address, count) = refusing(status).await;
        let fence = Fence::default();
        fence.open_for_good();
        let registry = SharedRegistry::default();
        let metrics = Metrics::register(&registry);
        let client = Connector::new(Config::new(address), &fence, &metrics)
            .client()
            .unwrap();
        let objects: Api<ConfigMap> = Api::namespaced(client, "ns");
        let (written, delay) =
            retry_after::collect(objects.create(&PostParams::default(), &ConfigMap::default())).await;
        assert!(written.is_err(), "{status}");
        assert_eq!(delay, asked, "{status}");
        assert_eq!(count.load(Ordering::SeqCst), 1, "{status}");
        let code = &status[..3];
        let line = format!(r#"rest_client_requests_total{{method="POST",code="{code}"}} 1"#);
        assert!(registry.encode().unwrap().contains(&line), "{line}");
    }
}
