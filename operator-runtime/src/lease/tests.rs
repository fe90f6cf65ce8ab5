//! Leadership, against an API server in memory and with paused time.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Claim, LeaseConfig, LeaseConfigError, LeaseGuard, Lost, Process, Record, acquire, claim};
use crate::fence::Fence;
use crate::liveness::Liveness;
use crate::metrics::{Metrics, SharedRegistry};
use crate::testing::FakeApi;

const DURATION: Duration = Duration::from_secs(15);
const RENEW: Duration = Duration::from_secs(10);

fn config(identity: &str) -> LeaseConfig {
    LeaseConfig {
        namespace: "ns".to_owned(),
        name: "op".to_owned(),
        identity: identity.to_owned(),
        field_manager: "test-lease".to_owned(),
        duration: DURATION,
        renew: RENEW,
    }
}

async fn lead(api: &FakeApi, identity: &str) -> (LeaseGuard, Fence) {
    lead_with(api, identity, Liveness::default()).await
}

async fn lead_with(api: &FakeApi, identity: &str, liveness: Liveness) -> (LeaseGuard, Fence) {
    let fence = Fence::default();
    let process = Process {
        fence: fence.clone(),
        metrics: Metrics::register(&SharedRegistry::default()),
        liveness,
    };
    (acquire(api.client(), config(identity), process).await, fence)
}

fn held_by(holder: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "op", "namespace": "ns" },
        "spec": {
            "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 3,
            // A clock that is years off must not matter.
            "renewTime": "1999-01-01T00:00:00.000000Z",
        },
    })
}

fn holder(api: &FakeApi) -> Option<String> {
    let lease = api.get("leases", "ns", "op")?;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn creates_the_lease_with_one_write_and_renews_twice_per_deadline() {
    let api = FakeApi::default();
    let (guard, fence) = lead(&api, "a").await;
    assert!(fence.is_open());
    assert_eq!(holder(&api).as_deref(), Some("a"));
    let writes = |log: Vec<String>| {
        log.into_iter()
            .filter(|call| {
                !["GET ", "LIST ", "WATCH "]
                    .iter()
                    .any(|verb| call.starts_with(verb))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        writes(api.take_log()),
        ["POST /apis/coordination.k8s.io/v1/namespaces/ns/leases"]
    );
    sleep(Duration::from_mins(1)).await;
    let renewals = api.take_log();
    assert!((11..=12).contains(&renewals.len()), "{renewals:?}");
    assert!(renewals.iter().all(|call| call.starts_with("PATCH")));
    assert!(fence.is_open());
    guard.release().await;
    assert!(!fence.is_open());
    assert_eq!(holder(&api), None);
}

#[tokio::test(start_paused = true)]
async fn a_standby_takes_over_at_once_when_the_lease_is_released() {
    let api = FakeApi::default();
    let (leader, _) = lead(&api, "a").await;
    let standby = tokio::spawn({
        let api = api.clone();
        async move { lead(&api, "b").await }
    });
    sleep(Duration::from_mins(10)).await;
    assert!(!standby.is_finished());
    let released = Instant::now();
    leader.release().await;
    let (_keeper, fence) = standby.await.unwrap();
    assert!(
        released.elapsed() < Duration::from_millis(50),
        "{:?}",
        released.elapsed()
    );
    assert!(fence.is_open());
    assert_eq!(holder(&api).as_deref(), Some("b"));
    let lease = api.get("leases", "ns", "op").unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_standby_waits_the_whole_duration_after_the_last_sign_of_life() {
    let api = FakeApi::default();
    api.put("leases", &held_by("dead"));
    let started = Instant::now();
    let (_keeper, _) = lead(&api, "b").await;
    let waited = started.elapsed();
    assert!(
        waited >= DURATION && waited < DURATION + Duration::from_secs(1),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_delays_no_takeover_and_causes_none() {
    let api = FakeApi::default();
    let (leader, fence) = lead(&api, "a").await;
    let standby = tokio::spawn({
        let api = api.clone();
        async move { lead(&api, "b").await }
    });
    for _ in 0..20 {
        sleep(Duration::from_secs(3)).await;
        api.end_watches();
    }
    assert!(!standby.is_finished() && fence.is_open());
    leader.release().await;
    assert!(standby.await.unwrap().1.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_process_finds_itself_in_the_lease_and_goes_on() {
    let api = FakeApi::default();
    api.put("leases", &held_by("a"));
    let started = Instant::now();
    let (_keeper, _) = lead(&api, "a").await;
    assert!(started.elapsed() < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_leader_cut_off_stops_before_a_standby_takes_over() {
    let api = FakeApi::default();
    let (mut leader, fence) = lead(&api, "a").await;
    sleep(Duration::from_secs(7)).await;
    api.down(true);
    let cut = Instant::now();
    assert_eq!(leader.lost().await, Lost::Deadline(RENEW));
    assert!(!fence.is_open());
    // The last renewal was at 5 s, the standby counts from there.
    assert!(cut.elapsed() <= RENEW, "{:?}", cut.elapsed());
    assert!(cut.elapsed() + Duration::from_secs(2) < DURATION);
}

#[tokio::test(start_paused = true)]
async fn the_fence_closes_at_the_deadline_even_when_no_task_runs() {
    let api = FakeApi::default();
    let (_leader, fence) = lead(&api, "a").await;
    // As when the whole process stands still: time passes, and no timer of the leader is polled.
    tokio::time::advance(RENEW).await;
    assert!(!fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let api = FakeApi::default();
    let (mut leader, fence) = lead(&api, "a").await;
    sleep(Duration::from_secs(4)).await;
    api.down(true);
    sleep(Duration::from_secs(4)).await;
    assert!(fence.is_open());
    api.down(false);
    let lost = tokio::time::timeout(Duration::from_mins(2), leader.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
    assert!(fence.is_open());
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_progress_leaves_the_lease_to_a_standby() {
    let api = FakeApi::default();
    let liveness = Liveness::default();
    let (mut leader, fence) = lead_with(&api, "a", liveness.clone()).await;
    let standby = tokio::spawn({
        let api = api.clone();
        async move { lead(&api, "b").await }
    });
    // Objects wait, and no reconcile starts.
    liveness.queue("pgpool").looked_at(false, true);
    let why = leader.lost().await;
    assert!(matches!(why, Lost::Stuck(_)), "{why}");
    assert!(!fence.is_open());
    let left = Instant::now();
    let (_keeper, fence) = standby.await.unwrap();
    assert!(
        fence.is_open() && left.elapsed() <= DURATION,
        "{:?}",
        left.elapsed()
    );
    assert_eq!(holder(&api).as_deref(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn another_holder_ends_leadership() {
    let api = FakeApi::default();
    let (mut leader, fence) = lead(&api, "a").await;
    api.put("leases", &held_by("thief"));
    assert_eq!(leader.lost().await, Lost::Taken("thief".to_owned()));
    assert!(!fence.is_open());
    assert_eq!(
        holder(&api).as_deref(),
        Some("thief"),
        "the loser leaves the lease alone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_note_on_the_lease_or_its_deletion_does_not_end_leadership() {
    let api = FakeApi::default();
    let (mut leader, fence) = lead(&api, "a").await;
    let mut lease = api.get("leases", "ns", "op").unwrap();
    lease["metadata"]["annotations"] = json!({ "note": "hello" });
    api.put("leases", &lease);
    assert!(
        tokio::time::timeout(Duration::from_secs(30), leader.lost())
            .await
            .is_err()
    );
    api.remove("leases", "ns", "op");
    assert!(
        tokio::time::timeout(Duration::from_secs(30), leader.lost())
            .await
            .is_err()
    );
    assert!(fence.is_open());
    assert_eq!(holder(&api).as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_try_one_leads_at_a_time() {
    let api = FakeApi::default();
    let mut tries = tokio::task::JoinSet::new();
    for number in 0..5 {
        let api = api.clone();
        tries.spawn(async move { lead(&api, &format!("p{number}")).await });
    }
    for left in (0..5).rev() {
        let (guard, fence) = tries.join_next().await.unwrap().unwrap();
        sleep(Duration::from_secs(40)).await;
        assert_eq!(tries.len(), left);
        assert!(tries.try_join_next().is_none(), "two lead at once");
        assert!(fence.is_open());
        guard.release().await;
    }
}

#[test]
fn claims() {
    let now = Instant::now();
    let seen = |lease: Value, ago: u64| Record {
        lease: serde_json::from_value::<Option<Lease>>(lease).unwrap(),
        since: now - Duration::from_secs(ago),
    };
    let claims = |record: &Record| claim(record, "me", DURATION, now);
    let wait = |seconds| Claim::Wait(now + Duration::from_secs(seconds));
    assert_eq!(claims(&seen(Value::Null, 0)), Claim::Take);
    assert_eq!(claims(&seen(held_by(""), 0)), Claim::Take);
    assert_eq!(claims(&seen(held_by("me"), 0)), Claim::Take);
    assert_eq!(claims(&seen(held_by("other"), 0)), wait(15));
    assert_eq!(claims(&seen(held_by("other"), 14)), wait(1));
    assert_eq!(claims(&seen(held_by("other"), 15)), Claim::Take);
    let mut longer = held_by("other");
    longer["spec"]["leaseDurationSeconds"] = json!(60);
    assert_eq!(claims(&seen(longer, 20)), wait(40));
    let mut unnamed = held_by("other");
    unnamed["spec"]["leaseDurationSeconds"] = Value::Null;
    assert_eq!(claims(&seen(unnamed, 5)), wait(10));
}

#[test]
fn terms_that_could_not_work_are_refused() {
    let with = |duration, renew| {
        LeaseConfig {
            duration,
            renew,
            ..config("a")
        }
        .check()
    };
    assert_eq!(with(DURATION, RENEW), Ok(()));
    assert!(matches!(
        with(DURATION, DURATION),
        Err(LeaseConfigError::Overlap { .. })
    ));
    assert!(matches!(
        with(RENEW, DURATION),
        Err(LeaseConfigError::Overlap { .. })
    ));
    assert_eq!(
        with(DURATION, Duration::from_millis(10)),
        Err(LeaseConfigError::TooShort)
    );
}
