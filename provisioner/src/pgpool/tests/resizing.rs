//! Other CPU and memory for pods that run.

use super::*;

fn path(ordinal: i32) -> String {
    format!("/api/v1/namespaces/demo/pods/pool-{ordinal}")
}

/// Three pods that serve, and are to have another limit of memory.
async fn enlarged() -> Stage {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    enlarge(&stage);
    stage.api.log();
    stage
}

fn enlarge(stage: &Stage) {
    let mut pgpool: Value = stage.api.get(POOL).unwrap();
    let resources = json!({ "requests": { "cpu": "1", "memory": "2Gi" } });
    pgpool["spec"]["podTemplate"]["spec"]["containers"] =
        json!([{ "name": "pgpool", "resources": resources }]);
    stage.api.put(POOL, pgpool);
}

fn uids(stage: &Stage) -> Vec<String> {
    let uid = |ordinal| {
        let pod: Value = stage.api.get(&path(ordinal)).unwrap();
        pod["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    (0..3).map(uid).collect()
}

fn asked_for(stage: &Stage, ordinal: i32) -> String {
    let pod: Value = stage.api.get(&path(ordinal)).unwrap();
    let containers = pod["spec"]["containers"].as_array().unwrap();
    let pgpool = containers.iter().find(|it| it["name"] == "pgpool").unwrap();
    pgpool["resources"]["limits"]["memory"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn asked_once_each(stage: &Stage) {
    let log = stage.api.log();
    let resized = log.iter().filter(|line| line.ends_with("/resize")).count();
    assert_eq!(resized, 3, "one question for each pod: {log:#?}");
}

fn progress(stage: &Stage) -> String {
    stage.reason(ConditionType::Reconciling).unwrap().2
}

#[tokio::test]
async fn each_pod_in_turn_and_none_is_replaced() {
    let stage = enlarged().await;
    let before = uids(&stage);
    stage.asked().await;
    stage.run_pods();
    for ordinal in [2, 1, 0] {
        stage.asked().await;
        assert_eq!(asked_for(&stage, ordinal), "2Gi");
        if ordinal > 0 {
            assert_eq!(asked_for(&stage, ordinal - 1), "1Gi", "the next has to wait");
        }
        // Which pod it is follows a moment later: a change of wording alone is not written at once.
        assert!(
            progress(&stage).contains("gets other CPU and memory while it runs"),
            "{}",
            progress(&stage)
        );
        stage.run_pods();
        cluster::give(&stage, &path(ordinal));
        // It becomes one of the new revision, and the next is asked.
        stage.asked().await;
        stage.run_pods();
    }
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_eq!(uids(&stage), before);
    assert!(!cluster::is_behind(&stage), "the revision is not complete");
    let workload = stage.workload().unwrap().spec.unwrap();
    let rolling = workload.update_strategy.unwrap().rolling_update.unwrap();
    assert_eq!(rolling.partition, Some(0), "a pod that restarts has the new size");
    asked_once_each(&stage);
}

#[tokio::test]
async fn one_that_cannot_be_resized_is_replaced_at_once() {
    let stage = enlarged().await;
    stage.api.fix_sizes();
    let before = uids(&stage);
    stage.asked().await;
    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
    let after = uids(&stage);
    assert!(before.iter().zip(&after).all(|(before, after)| before != after));
    asked_once_each(&stage);
}

#[tokio::test]
async fn one_whose_node_is_too_small_is_replaced() {
    let stage = enlarged().await;
    let before = uids(&stage);
    stage.asked().await;
    stage.run_pods();
    stage.asked().await;
    let mut pod: Value = stage.api.get(&path(2)).unwrap();
    let infeasible = json!({ "type": "PodResizePending", "status": "True", "reason": "Infeasible" });
    pod["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .push(infeasible);
    stage.api.put(&path(2), pod);
    stage.asked().await;
    stage.run_pods();
    assert_ne!(uids(&stage)[2], before[2]);
    assert_eq!(uids(&stage)[..2], before[..2], "the others are asked first");
}

/// After each write a new process goes on.
#[tokio::test]
async fn killed_between_any_two_steps_the_next_goes_on_where_it_was() {
    for budget in 0..8 {
        let first = enlarged().await;
        let before = uids(&first);
        first.api.budget(Some(budget));
        for round in 0.. {
            assert!(round < stage::MOST_ROUNDS, "pods are still being resized");
            if first.try_once().await.is_err() {
                break;
            }
            first.run_pods();
            for ordinal in 0..3 {
                cluster::give(&first, &path(ordinal));
            }
            if !cluster::is_behind(&first) && asked_for(&first, 0) == "2Gi" {
                break;
            }
        }
        first.api.budget(None);
        let second = Stage::on(first.api.clone(), Duration::ZERO);
        *second.prober.0.lock().unwrap() = first.prober.0.lock().unwrap().clone();
        for _ in 0..12 {
            second.asked().await;
            second.run_pods();
            for ordinal in 0..3 {
                cluster::give(&second, &path(ordinal));
            }
        }
        assert_eq!(
            second.checked().await,
            Outcome::Converged,
            "after {budget} writes"
        );
        assert_eq!(uids(&second), before, "after {budget} writes");
        assert_eq!(asked_for(&second, 0), "2Gi", "after {budget} writes");
    }
}
