//! Leader election while the async runtime of the process is blocked, in real time.

use std::time::Instant;

use super::*;
use crate::fence::Fence;
use crate::liveness::Liveness;
use crate::metrics::{Metrics, SharedRegistry};
use crate::testing::FakeApi;

const PATIENCE: Duration = Duration::from_secs(30);

fn config() -> LeaseConfig {
    LeaseConfig {
        namespace: "ns".to_owned(),
        name: "op".to_owned(),
        identity: "a".to_owned(),
        field_manager: "test-lease".to_owned(),
        duration: Duration::from_secs(2),
        renew: Duration::from_secs(1),
    }
}

fn process(fence: &Fence) -> Process {
    Process {
        fence: fence.clone(),
        metrics: Metrics::register(&SharedRegistry::default()),
        liveness: Liveness::default(),
    }
}

fn renewals(api: &FakeApi) -> usize {
    let calls = api.take_log();
    calls.iter().filter(|call| call.starts_with("PATCH")).count()
}

#[test]
fn blocked_workers_delay_no_renewal() {
    let workers = 2;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap();
    let (api, fence) = (FakeApi::default(), Fence::default());
    let served = api.clone();
    let elected = elect(move || Ok(served.client()), config(), process(&fence));
    let mut guard = runtime.block_on(elected).unwrap();
    let (blocked, started) = channel();
    let mut ends = Vec::new();
    for _ in 0..workers {
        let (end, work) = channel::<()>();
        let blocked = blocked.clone();
        ends.push(end);
        runtime.spawn(async move {
            blocked.send(()).unwrap();
            // Never returns to the runtime before the test ends.
            let _ = work.recv();
        });
    }
    for _ in 0..workers {
        started.recv_timeout(PATIENCE).unwrap();
    }
    renewals(&api);
    let (since, mut seen) = (Instant::now(), 0);
    while seen < 6 && since.elapsed() < PATIENCE {
        seen += renewals(&api);
        assert!(fence.is_open(), "the leader goes on");
        std::thread::yield_now();
    }
    assert!(seen >= 6, "{seen}");
    drop(ends);
    api.put(
        "leases",
        &serde_json::json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "op", "namespace": "ns" },
            "spec": { "holderIdentity": "thief" },
        }),
    );
    let lost = runtime.block_on(guard.lost());
    assert_eq!(lost.to_string(), "the lease is held by thief");
}

#[test]
fn a_process_that_stops_before_it_leads_ends_the_thread_and_leaves_no_lease() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let api = FakeApi::default();
    let fence = Fence::default();
    let held = serde_json::json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "op", "namespace": "ns" },
        "spec": { "holderIdentity": "other", "leaseDurationSeconds": 3600 },
    });
    api.put("leases", &held);
    let (ended, end) = channel::<()>();
    let served = api.clone();
    let client = move || {
        let client = served.client();
        // Dropped with the runtime of the thread.
        tokio::spawn(async move {
            let _ended = ended;
            std::future::pending::<()>().await;
        });
        Ok(client)
    };
    runtime.block_on(async {
        let elected = elect(client, config(), process(&fence));
        let waited = tokio::time::timeout(Duration::from_millis(200), elected).await;
        assert!(waited.is_err(), "another process leads");
    });
    let gone = end.recv_timeout(PATIENCE);
    assert_eq!(gone, Err(RecvTimeoutError::Disconnected));
    assert!(!fence.is_open());
}
