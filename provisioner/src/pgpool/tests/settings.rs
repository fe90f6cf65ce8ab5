//! The settings of a user on their way to pods.

use super::*;

impl Stage {
    /// pgpool reads the settings that it is asked about; returns how many there are.
    fn judge_settings(&self, exit_code: i32, said: &str) -> usize {
        let pods: Vec<_> = self
            .api
            .contents()
            .into_keys()
            .filter(|path| is_judge(path))
            .collect();
        for path in &pods {
            let mut pod: Value = self.api.get(path).unwrap();
            let terminated = json!({ "exitCode": exit_code, "message": said });
            pod["status"] = json!({ "containerStatuses": [{
                "name": "judge", "image": "pgpool", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": terminated },
            }]});
            self.api.put(path, pod);
        }
        pods.len()
    }
}

fn is_judge(path: &str) -> bool {
    path.starts_with("/api/v1/namespaces/demo/pods/pool-config-")
}

fn set_conf(stage: &Stage, conf: &str) {
    let mut pgpool: Value = stage.api.get(POOL).unwrap();
    let generation = pgpool["metadata"]["generation"].as_i64().unwrap();
    pgpool["metadata"]["generation"] = (generation + 1).into();
    pgpool["spec"]["configuration"] = json!({ "inline": { "pgpool.conf": conf } });
    stage.api.put(POOL, pgpool);
}

fn config(stage: &Stage) -> Secret {
    let name = names::config_secret(&stage.pgpool());
    stage
        .api
        .get(&format!("/api/v1/namespaces/demo/secrets/{name}"))
        .unwrap()
}

fn candidates(stage: &Stage) -> usize {
    let contents = stage.api.contents();
    contents
        .keys()
        .filter(|path| path.contains("/pool-config-"))
        .count()
}

#[tokio::test]
async fn settings_of_a_user_reach_pods_only_after_pgpool_has_judged_them() {
    let stage = Stage::new(&plain_pgpool());
    set_conf(&stage, "num_init_children = 7");
    assert_eq!(stage.reconcile().await.reason(), Some("JudgingConfiguration"));
    assert!(stage.workload().is_none());
    // The Secret is there for those who wait for it; nothing reads it yet.
    let annotations = config(&stage).metadata.annotations.unwrap();
    assert!(!annotations.contains_key(names::ANNOTATION_JUDGED));
    assert_eq!((stage.judge_settings(0, ""), candidates(&stage)), (1, 2));
    stage.reconcile().await;
    assert!(stage.workload().is_some() && candidates(&stage) == 0);
    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
    stage.api.log();
    assert_eq!(stage.reconcile().await, Outcome::Converged);
    assert_eq!(stage.api.log(), Vec::<String>::new(), "converged costs nothing");

    // Nonsense: the files stay, and so do the pods.
    let (before, workload) = (config(&stage), stage.workload());
    set_conf(&stage, "num_init_children = seven");
    assert_eq!(stage.reconcile().await.reason(), Some("JudgingConfiguration"));
    let said = "FATAL:  invalid value for parameter \"num_init_children\": \"seven\"";
    assert_eq!(stage.judge_settings(judgement::REFUSED, said), 1);
    for _ in 0..2 {
        assert_eq!(stage.reconcile().await.reason(), Some("ConfigurationInvalid"));
    }
    let status = stage.pgpool().status.unwrap();
    let stalled = find(&status.conditions, ConditionType::Stalled).unwrap();
    assert!(
        stalled.message.contains("\"seven\"") && stalled.message.contains("line 1"),
        "{}",
        stalled.message
    );
    assert_eq!(config(&stage), before);
    assert_eq!(stage.workload(), workload);
    stage.api.log();
    stage.reconcile().await;
    assert_eq!(stage.api.log(), Vec::<String>::new(), "nobody is asked twice");

    // Back to what was good: nobody needs to be asked.
    set_conf(&stage, "num_init_children = 7");
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_eq!(candidates(&stage), 0);
    assert_eq!(config(&stage), before);

    // A better one: what a reload puts into effect does not touch the workload.
    set_conf(&stage, "num_init_children = 7\nlog_min_messages = info");
    stage.reconcile().await;
    stage.judge_settings(0, "");
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_ne!(config(&stage), before);
    assert_eq!(stage.workload().unwrap().spec, workload.unwrap().spec);
    assert_eq!(candidates(&stage), 0);
}

#[tokio::test]
async fn a_judgement_survives_a_death_at_any_write() {
    for writes in 0..30 {
        let stage = Stage::new(&plain_pgpool());
        set_conf(&stage, "max_pool = 3");
        stage.api.budget(Some(writes));
        let mut died = stage.dies().await;
        if !died {
            stage.judge_settings(0, "");
            died = stage.dies().await;
        }
        stage.api.budget(None);
        // Another process, which knows nothing of it.
        let next = Stage::on(stage.api.clone(), PATIENT);
        next.reconcile().await;
        if next.judge_settings(0, "") > 0 {
            next.reconcile().await;
        }
        next.run_pods();
        assert_eq!(next.checked().await, Outcome::Converged, "after {writes} writes");
        assert_eq!(candidates(&next), 0, "after {writes} writes");
        assert!(
            config(&next)
                .metadata
                .annotations
                .unwrap()
                .contains_key(names::ANNOTATION_JUDGED)
        );
        if !died {
            return;
        }
    }
    panic!("never got through");
}
