//! The settings of a user on their way to pods.

use super::*;

impl Stage {
    /// pgpool reads the settings that it is asked about; returns how many there are.
    fn check_settings(&self, exit_code: i32, said: &str) -> usize {
        let pods: Vec<_> = self
            .api
            .contents()
            .into_keys()
            .filter(|path| is_config_check(path))
            .collect();
        for path in &pods {
            let mut pod: Value = self.api.get(path).unwrap();
            let terminated = json!({ "exitCode": exit_code, "message": said });
            pod["status"] = json!({ "containerStatuses": [{
                "name": "config-check", "image": "pgpool", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": terminated },
            }]});
            self.api.put(path, pod);
        }
        pods.len()
    }
}

fn is_config_check(path: &str) -> bool {
    path.starts_with("/namespaces/demo/pods/pool-config-")
}

fn set_conf(stage: &Stage, conf: &str) {
    set(
        stage,
        "configuration",
        json!({ "inline": { "pgpool.conf": conf } }),
    );
}

fn set(stage: &Stage, field: &str, value: Value) {
    let mut pgpool: Value = stage.api.get(POOL).unwrap();
    let generation = pgpool["metadata"]["generation"].as_i64().unwrap();
    pgpool["metadata"]["generation"] = (generation + 1).into();
    pgpool["spec"][field] = value;
    stage.api.put(POOL, pgpool);
}

fn replicas(stage: &Stage) -> Option<i32> {
    stage.workload().unwrap().spec.unwrap().replicas
}

fn revision(stage: &Stage) -> String {
    let template = stage.workload().unwrap().spec.unwrap().template;
    let annotations = template.metadata.unwrap().annotations.unwrap();
    annotations[names::ANNOTATION_CONFIG_HASH].clone()
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
async fn settings_of_a_user_reach_pods_only_after_pgpool_has_checked_them() {
    let stage = Stage::new(&plain_pgpool());
    set_conf(&stage, "num_init_children = 7");
    assert_eq!(stage.reconcile().await.reason(), Some("CheckingConfiguration"));
    assert!(stage.workload().is_none());
    // The Secret is there for those who wait for it; nothing reads it yet.
    let annotations = config(&stage).metadata.annotations.unwrap();
    assert!(!annotations.contains_key(names::ANNOTATION_VALIDATED_CONFIG_HASH));
    assert_eq!((stage.check_settings(0, ""), candidates(&stage)), (1, 2));
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
    assert_eq!(stage.reconcile().await.reason(), Some("CheckingConfiguration"));
    let said = "FATAL:  invalid value for parameter \"num_init_children\": \"seven\"";
    assert_eq!(stage.check_settings(decide::config_check::REJECTED, said), 1);
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
    stage.check_settings(0, "");
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_ne!(config(&stage), before);
    assert_eq!(stage.workload().unwrap().spec, workload.unwrap().spec);
    assert_eq!(candidates(&stage), 0);
}

#[tokio::test]
async fn a_config_check_survives_a_death_at_any_write() {
    for writes in 0..30 {
        let stage = Stage::new(&plain_pgpool());
        set_conf(&stage, "max_pool = 3");
        stage.api.budget(Some(writes));
        let mut died = stage.dies().await;
        if !died {
            stage.check_settings(0, "");
            died = stage.dies().await;
        }
        stage.api.budget(None);
        // Another process, which knows nothing of it.
        let next = Stage::on(stage.api.clone(), PATIENT);
        next.reconcile().await;
        if next.check_settings(0, "") > 0 {
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
                .contains_key(names::ANNOTATION_VALIDATED_CONFIG_HASH)
        );
        if !died {
            return;
        }
    }
    panic!("never got through");
}

/// Settings that pods must not get, how far pgpool gets with them, and the reason in the condition.
type Bad = (Value, Option<i32>, &'static str);

fn bad_settings() -> [Bad; 4] {
    let inline = |conf: &str| json!({ "inline": { "pgpool.conf": conf } });
    [
        (inline("ssl = off"), None, "ConfigurationInvalid"),
        (
            json!({ "secretName": "nowhere" }),
            None,
            "ConfigurationSecretNotFound",
        ),
        (
            inline("num_init_children = seven"),
            Some(decide::config_check::REJECTED),
            "ConfigurationInvalid",
        ),
        (inline("max_pool = 5"), Some(127), "ConfigurationNotChecked"),
    ]
}

#[tokio::test]
async fn settings_that_may_not_be_used_hold_up_nothing_else() {
    for (settings, exit_code, reason) in bad_settings() {
        let stage = Stage::new(&tls_pgpool());
        set_conf(&stage, "max_pool = 3");
        stage.reconcile().await;
        stage.check_settings(0, "");
        stage.finish().await;
        let (before, copy, checked) = (config(&stage), stage.copy().unwrap(), revision(&stage));

        set(&stage, "configuration", settings);
        set(&stage, "replicas", 5.into());
        stage.reconcile().await;
        assert_eq!(replicas(&stage), Some(5), "{reason}, or before that is known");
        if let Some(exit_code) = exit_code {
            assert_eq!(stage.check_settings(exit_code, "no"), 1);
        }
        let certificates = stage.issue();
        stage.verify(&certificates, true);
        let path = "/api/v1/namespaces/demo/secrets/pg-auth";
        let mut secret: Value = stage.api.get(path).unwrap();
        secret["data"]["password"] = "YW5vdGhlcg==".into();
        stage.api.put(path, secret);
        let next = Stage::on(stage.api.clone(), Duration::ZERO);
        assert_eq!(next.reconcile().await.reason(), Some(reason));
        assert_eq!(replicas(&next), Some(5), "{reason}");
        assert_ne!(next.copy().unwrap().name_any(), copy.name_any(), "{reason}");
        let log = stage.api.log();
        let users = "PATCH /api/v1/namespaces/demo/secrets/pool-users";
        assert!(log.iter().any(|line| line == users), "{reason}: {log:?}");
        assert_eq!(
            (config(&next), revision(&next)),
            (before.clone(), checked.clone()),
            "{reason}"
        );
        next.run_pods();
        assert_eq!(next.checked().await.reason(), Some(reason));
        let status = next.pgpool().status.unwrap();
        let said = status
            .conditions
            .iter()
            .any(|it| it.reason == reason && it.status == "True");
        assert!(said && status.phase == Some(Phase::Ready), "{status:?}");
        next.api.log();
        next.reconcile().await;
        assert_eq!(next.api.log(), [""; 0], "{reason}: nothing is said twice");

        // What needs the new settings waits as a whole.
        let workload = next.workload();
        set(&next, "clientAuthMode", "cert".into());
        set(&next, "replicas", 2.into());
        next.reconcile().await;
        assert_eq!(
            (next.workload(), config(&next)),
            (workload, before.clone()),
            "{reason}"
        );

        set_conf(&next, "max_pool = 4");
        next.reconcile().await;
        next.check_settings(0, "");
        next.reconcile().await;
        assert_eq!(replicas(&next), Some(2), "{reason}");
        assert!(revision(&next) != checked && config(&next) != before, "{reason}");
    }
}
