//! The endpoint and the probe that asks it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::Admin;
use crate::args::AdminArgs;
use crate::liveness::Liveness;
use crate::metrics::{Metrics, SharedRegistry};
use crate::probe::{Check, ProbeArgs, probe, request};
use crate::readiness::Gates;

async fn answer(address: SocketAddr, path: &'static str) -> (u16, String) {
    tokio::task::spawn_blocking(move || request(address, path))
        .await
        .unwrap()
        .unwrap()
}

async fn verdict(address: SocketAddr, check: Check) -> ExitCode {
    let admin = AdminArgs {
        admin_address: address,
    };
    tokio::task::spawn_blocking(move || probe(&ProbeArgs { check, admin }))
        .await
        .unwrap()
}

/// Finds a free port by taking and leaving it.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn readiness_names_what_it_waits_for() {
    let (gates, registry, drain) = (
        Gates::default(),
        SharedRegistry::default(),
        CancellationToken::new(),
    );
    let admin = Admin {
        liveness: Liveness::default(),
        gates: gates.clone(),
        registry: registry.clone(),
        drain: drain.clone(),
    };
    let (address, stop) = (free(), CancellationToken::new());
    let served = admin.serve(address, stop.clone()).await.unwrap();
    assert_eq!(answer(address, "/readyz").await, (200, "ok\n".to_owned()));
    let (pools, secrets) = (gates.gate("Pgpool cache"), gates.gate("Secret cache"));
    secrets.explain("not allowed");
    let body = "waiting for Pgpool cache\nwaiting for Secret cache: not allowed\n".to_owned();
    assert_eq!(answer(address, "/readyz").await, (503, body));
    assert_eq!(
        answer(address, "/livez").await,
        (200, "ok\n".to_owned()),
        "alive while it waits"
    );
    assert_eq!(verdict(address, Check::Readyz).await, ExitCode::FAILURE);
    assert_eq!(verdict(address, Check::Livez).await, ExitCode::SUCCESS);
    pools.open();
    drop(secrets);
    assert_eq!(
        answer(address, "/readyz").await.0,
        503,
        "a gate that is dropped is not open"
    );
    let secrets = gates.gate("Secret cache");
    secrets.open();
    assert_eq!(verdict(address, Check::Readyz).await, ExitCode::SUCCESS);

    Metrics::register(&registry).leads("op", true);
    let (code, text) = answer(address, "/metrics").await;
    assert_eq!(code, 200);
    assert!(
        text.contains(r#"leader_election_master_status{name="op"} 1"#),
        "{text}"
    );
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(answer(address, "/nothing").await.0, 404);

    drain.cancel();
    assert_eq!(answer(address, "/readyz").await, (503, "stopping\n".to_owned()));
    stop.cancel();
    served.await.unwrap().unwrap();
    assert_eq!(
        verdict(address, Check::Livez).await,
        ExitCode::FAILURE,
        "nothing listens any more"
    );
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = Admin {
        liveness: Liveness::default(),
        gates: Gates::default(),
        registry: SharedRegistry::default(),
        drain: CancellationToken::new(),
    };
    let served = admin
        .serve(taken.local_addr().unwrap(), CancellationToken::new())
        .await;
    assert!(served.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_process_without_progress_is_not_alive() {
    let liveness = Liveness::default();
    let admin = Admin {
        gates: Gates::default(),
        registry: SharedRegistry::default(),
        drain: CancellationToken::new(),
        liveness: liveness.clone(),
    };
    let status = async || {
        let request = Request::get("/livez").body(Body::empty()).unwrap();
        admin.clone().router().oneshot(request).await.unwrap().status()
    };
    let queue = liveness.queue("pgpool");
    queue.looked_at(false, true);
    assert_eq!(status().await, StatusCode::OK);
    tokio::time::advance(Duration::from_mins(5)).await;
    assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
    queue.looked_at(true, true);
    assert_eq!(status().await, StatusCode::OK);
}
