//! Start and stop, with paused time and an API server in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::anyhow;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::Runtime;
use crate::lease::LeaseConfig;
use crate::signals::Stops;
use crate::testing::FakeApi;

fn runtime(api: &FakeApi) -> (Runtime, mpsc::UnboundedSender<()>) {
    let mut runtime = Runtime::for_test(api.client());
    let (stop, requests) = mpsc::unbounded_channel();
    runtime.stops = Stops::Channel(requests);
    (runtime, stop)
}

/// A process that needs the lease.
fn candidate(api: &FakeApi, identity: &str) -> (Runtime, mpsc::UnboundedSender<()>) {
    let (mut runtime, stop) = runtime(api);
    runtime.fence.close();
    runtime.lease = Some(LeaseConfig {
        namespace: "ns".to_owned(),
        name: "op".to_owned(),
        identity: identity.to_owned(),
        field_manager: "test-lease".to_owned(),
        duration: Duration::from_secs(15),
        renew: Duration::from_secs(10),
    });
    (runtime, stop)
}

async fn ends(runtime: Runtime) -> anyhow::Result<()> {
    let ended = timeout(Duration::from_mins(2), runtime.run()).await.unwrap();
    ended.map_err(Into::into)
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_ends_the_process_with_its_name() {
    for (result, expected) in [
        (Ok(()), "the task part ended, which it must not"),
        (Err(anyhow!("no disk")), "the task part failed: no disk"),
    ] {
        let (mut runtime, _stop) = runtime(&FakeApi::default());
        runtime.spawn("others", std::future::pending::<()>());
        let drain = runtime.drain();
        runtime.spawn("part", async move {
            sleep(Duration::from_secs(1)).await;
            result
        });
        let error = ends(runtime).await.unwrap_err();
        assert!(format!("{error:#}").starts_with(expected), "{error:#}");
        assert!(drain.is_cancelled(), "the other tasks are asked to end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_ends_the_process() {
    let (mut runtime, _stop) = runtime(&FakeApi::default());
    runtime.spawn("part", async {
        assert!(std::hint::black_box(false), "on purpose");
    });
    assert!(
        ends(runtime)
            .await
            .unwrap_err()
            .to_string()
            .contains("the task part failed")
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_tasks() {
    let (mut runtime, stop) = runtime(&FakeApi::default());
    let finished = Arc::new(AtomicBool::new(false));
    let (drain, done) = (runtime.drain(), Arc::clone(&finished));
    runtime.spawn("part", async move {
        drain.cancelled().await;
        sleep(Duration::from_secs(20)).await;
        done.store(true, Ordering::SeqCst);
    });
    stop.send(()).unwrap();
    ends(runtime).await.unwrap();
    assert!(finished.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_at_most_25_seconds() {
    let (mut runtime, stop) = runtime(&FakeApi::default());
    runtime.spawn("stubborn", std::future::pending::<()>());
    stop.send(()).unwrap();
    let asked = Instant::now();
    assert!(ends(runtime).await.is_err());
    assert_eq!(asked.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_ends_the_waiting() {
    let (mut runtime, stop) = runtime(&FakeApi::default());
    runtime.spawn("stubborn", std::future::pending::<()>());
    stop.send(()).unwrap();
    tokio::spawn(async move {
        sleep(Duration::from_secs(2)).await;
        stop.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    let asked = Instant::now();
    assert!(
        ends(runtime)
            .await
            .unwrap_err()
            .to_string()
            .contains("stopped immediately by a second signal")
    );
    assert_eq!(asked.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_process_leads_before_the_gates_are_open() {
    let api = FakeApi::default();
    let (mut runtime, _stop) = candidate(&api, "a");
    let gate = runtime.gates().gate("cache");
    assert!(timeout(Duration::from_mins(1), runtime.lead()).await.is_err());
    assert!(api.get("leases", "ns", "op").is_none());
    gate.open();
    runtime.lead().await.unwrap();
    assert!(runtime.fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_is_stopped_starts_nothing_and_takes_nothing() {
    let api = FakeApi::default();
    let (mut leader, _kept) = candidate(&api, "leader");
    leader.lead().await.unwrap();
    let (mut standby, stop) = candidate(&api, "standby");
    tokio::spawn(async move {
        sleep(Duration::from_secs(5)).await;
        stop.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    standby.lead().await.unwrap();
    assert!(!standby.fence.is_open());
    let acted = Arc::new(AtomicBool::new(false));
    let acts = Arc::clone(&acted);
    standby.spawn("controller", async move { acts.store(true, Ordering::SeqCst) });
    ends(standby).await.unwrap();
    assert!(!acted.load(Ordering::SeqCst), "a standby acts");
    let lease = api.get("leases", "ns", "op").unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "leader");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_on_standby_ends_the_process() {
    let api = FakeApi::default();
    let (mut leader, _kept) = candidate(&api, "leader");
    leader.lead().await.unwrap();
    let (mut standby, _stop) = candidate(&api, "standby");
    standby.spawn("cache", async { Err::<(), _>(anyhow!("broken")) });
    let error = anyhow::Error::from(standby.lead().await.unwrap_err());
    assert_eq!(format!("{error:#}"), "the task cache failed: broken");
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_after_the_last_task() {
    let api = FakeApi::default();
    let (mut runtime, stop) = candidate(&api, "a");
    runtime.lead().await.unwrap();
    let (drain, seen) = (runtime.drain(), api.clone());
    let held = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&held);
    runtime.spawn("controller", async move {
        drain.cancelled().await;
        // Longer than a renewal: the lease must be kept up while the work ends.
        sleep(Duration::from_secs(20)).await;
        let lease = seen.get("leases", "ns", "op").unwrap();
        noted.store(lease["spec"]["holderIdentity"] == json!("a"), Ordering::SeqCst);
    });
    stop.send(()).unwrap();
    ends(runtime).await.unwrap();
    assert!(held.load(Ordering::SeqCst));
    let lease = api.get("leases", "ns", "op").unwrap();
    assert_eq!(lease["spec"].get("holderIdentity"), None);
}

#[tokio::test(start_paused = true)]
async fn the_loss_of_the_lease_ends_the_process_at_once() {
    let api = FakeApi::default();
    let (mut runtime, _stop) = candidate(&api, "a");
    runtime.lead().await.unwrap();
    let fence = runtime.fence.clone();
    runtime.spawn("controller", std::future::pending::<()>());
    api.down(true);
    let cut = Instant::now();
    let error = ends(runtime).await.unwrap_err();
    assert!(error.to_string().contains("could not be renewed"), "{error}");
    assert!(!fence.is_open());
    assert!(
        cut.elapsed() <= Duration::from_secs(10),
        "no drain: {:?}",
        cut.elapsed()
    );
}
