//! Each running pod is notified of a change: once, whatever happens in between, and never without need.

use super::*;

const USERS: &str = "PATCH /api/v1/namespaces/demo/secrets/pool-users";

/// The pods that were notified, in order.
fn notified(log: &[String]) -> Vec<&str> {
    let pods = "PATCH /api/v1/namespaces/demo/pods/";
    let mut notified: Vec<_> = writes(log)
        .into_iter()
        .filter_map(|line| line.strip_prefix(pods))
        .collect();
    notified.sort_unstable();
    notified
}

/// A pool that runs; then its PostgreSQL gets another password, and a new process comes.
async fn changed() -> Stage {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    assert!(
        notified(&stage.api.log()).is_empty(),
        "pods that started with everything are not notified"
    );
    let path = "/api/v1/namespaces/demo/secrets/pg-auth";
    let mut secret: Value = stage.api.get(path).unwrap();
    secret["data"]["password"] = "YW5vdGhlcg==".into();
    stage.api.put(path, secret);
    successor(&stage)
}

fn successor(before: &Stage) -> Stage {
    let stage = Stage::on(before.api.clone(), Duration::ZERO);
    *stage.prober.0.lock().unwrap() = before.prober.0.lock().unwrap().clone();
    stage
}

#[tokio::test]
async fn every_running_pod_is_told_once_that_users_have_changed() {
    let stage = changed().await;
    let shown = Arc::new(stage.pgpool());
    let mut read = stage.context.named_secrets.changes();
    assert_eq!(read.next().now_or_never(), None);
    stage.try_once().await.unwrap();
    read.next().await;
    stage.api.hold();
    stage.thrice(&shown).await;
    let log = stage.api.log();
    assert_eq!(
        notified(&log),
        ["pool-0", "pool-1", "pool-2"],
        "once, while the caches lag too"
    );
    assert_eq!(
        writes(&log)[0],
        USERS,
        "a pod is notified of what is there: {log:?}"
    );
    // That they are being notified is reported too, if the pods have been asked by then.
    let said = log.iter().filter(|line| line.ends_with("/status")).count();
    assert!(log.len() == 4 + said && said <= 1, "{log:?}");
    stage.api.release();
    stage.checked().await;
    assert!(notified(&stage.api.log()).is_empty());

    // Neither by a new process, nor for pods that come later.
    let next = successor(&stage);
    next.checked().await;
    cluster::restart(&next);
    next.checked().await;
    assert!(notified(&next.api.log()).is_empty());
    let note = |pod: &str| -> Option<String> {
        let pod: k8s_openapi::api::core::v1::Pod =
            next.api.get(&format!("/api/v1/namespaces/demo/pods/{pod}"))?;
        pod.annotations().get(names::ANNOTATION_MOUNTED_SECRETS).cloned()
    };
    assert_eq!(note("pool-0"), None);
}

#[tokio::test]
async fn ready_is_about_an_edit_when_pods_have_had_time_to_read() {
    let generation = |stage: &Stage| {
        let conditions = stage.pgpool().status.unwrap().conditions;
        let ready = find(&conditions, ConditionType::Ready).unwrap();
        (ready.status == "True")
            .then_some(ready.observed_generation)
            .flatten()
    };
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    assert_eq!(generation(&stage), Some(4));
    let mut pgpool = stage.pgpool();
    pgpool.spec.client_auth_mode = Some(shared_types::ClientAuthMode::Md5);
    pgpool.metadata.generation = Some(5);
    stage.api.put(POOL, serde_json::to_value(&pgpool).unwrap());
    stage.api.set_clock(clock::now());
    stage.reconcile().await;
    assert_eq!(notified(&stage.api.log()).len(), 3);
    assert_eq!(generation(&stage), Some(4), "it stands and is not read yet");

    // A new process sees the same, and says nothing new.
    let next = successor(&stage);
    let outcome = next.checked().await;
    assert!(
        matches!(
            outcome,
            Outcome::Waiting {
                reason: "ReloadingConfiguration",
                after: Some(_)
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(generation(&next), Some(4));
    let before = clock::now() - Duration::from_secs(10);
    for ordinal in 0..3 {
        let path = format!("/api/v1/namespaces/demo/pods/pool-{ordinal}");
        let mut pod: Value = next.api.get(&path).unwrap();
        pod["metadata"]["managedFields"][0]["time"] = before.to_string().into();
        next.api.put(&path, pod);
    }
    assert_eq!(next.reconcile().await, Outcome::Converged);
    assert_eq!(generation(&next), Some(5));
}

#[tokio::test]
async fn a_process_that_dies_in_between_leaves_no_pod_unnotified() {
    for budget in 0..4 {
        let stage = changed().await;
        stage.api.budget(Some(budget));
        assert!(stage.dies().await, "after {budget} writes");
        stage.api.budget(None);
        let mut heard = stage.api.log();
        let next = successor(&stage);
        next.checked().await;
        heard.extend(next.api.log());
        let mut notified = notified(&heard);
        notified.dedup();
        assert_eq!(
            notified,
            ["pool-0", "pool-1", "pool-2"],
            "after {budget} writes: {heard:?}"
        );
        assert_eq!(next.reconcile().await, Outcome::Converged);
        let log = next.api.log();
        assert!(log.is_empty(), "after {budget} writes: {log:?}");
    }
}

#[tokio::test]
async fn a_foreign_object_does_not_keep_users_from_the_pods() {
    let stage = changed().await;
    let foreign = json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": { "name": "pool-pods", "namespace": "demo", "labels": { "app": "shop" } },
    });
    let path = "/api/v1/namespaces/demo/services/pool-pods";
    stage.api.services.delete(stage.api.get(path).unwrap());
    stage.api.put(path, foreign);
    assert_eq!(stage.reconcile().await.reason(), Some("NameConflict"));
    assert_eq!(notified(&stage.api.log()), ["pool-0", "pool-1", "pool-2"]);
}

#[tokio::test]
async fn a_pod_that_the_workload_does_not_control_is_left_alone() {
    let stage = changed().await;
    let path = "/api/v1/namespaces/demo/pods/pool-1";
    let mut foreign: Value = stage.api.get(path).unwrap();
    for owner in [
        json!([]),
        json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "pool", "uid": "gone", "controller": true }]),
        json!([{ "apiVersion": "batch/v1", "kind": "Job", "name": "pool", "uid": "x", "controller": true }]),
    ] {
        foreign["metadata"]["ownerReferences"] = owner;
        stage.api.put(path, foreign.clone());
        let pods = observe::pool_pods(&stage.pgpool(), &stage.context).own;
        let names: Vec<_> = pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, ["pool-0", "pool-2"]);
    }
    stage.reconcile().await;
    assert_eq!(notified(&stage.api.log()), ["pool-0", "pool-2"]);
}
