//! The user's scripts: run once, by a Job that is all the memory there is.

use k8s_openapi::api::batch::v1::Job;

use super::*;

const JOB: &str = "/apis/batch/v1/namespaces/demo/jobs/pool-init";
const MAP: &str = "/api/v1/namespaces/demo/configmaps/scripts";

fn with_scripts(mut pgpool: Pgpool, script: &Value) -> Pgpool {
    pgpool.spec.init = Some(serde_json::from_value(json!({ "script": script })).unwrap());
    pgpool
}

fn map() -> Value {
    json!({ "configMap": { "name": "scripts" } })
}

impl Stage {
    fn put_map(&self) {
        let map = json!({
            "kind": "ConfigMap", "apiVersion": "v1",
            "metadata": { "name": "scripts", "namespace": "demo" }, "data": { "a.sh": "true" },
        });
        self.api.put(MAP, map);
    }

    /// Reconciles until the watches have answered about Job and Secrets too.
    async fn settled(&self) -> Outcome {
        let mut jobs = self.context.jobs.changes();
        let mut read = self.context.named_secrets.changes();
        let mut outcome = self.reconcile().await;
        for _ in 0..4 {
            let pause = Duration::from_millis(50);
            let _ = tokio::time::timeout(pause, futures::future::select(jobs.next(), read.next())).await;
            outcome = self.reconcile().await;
        }
        outcome
    }

    fn job_ended(&self, how: &str, failed: i32) {
        let mut job: Value = self.api.get(JOB).unwrap();
        job["status"] = json!({ "failed": failed, "conditions": [{ "type": how, "status": "True" }] });
        self.api.put(JOB, job);
    }

    fn initialized(&self) -> String {
        let (status, reason, _) = self.reason(ConditionType::Initialized).unwrap();
        format!("{status}/{reason}")
    }

    /// The same cluster under a new process.
    async fn successor(&self) -> Self {
        let successor = Self::on(self.api.clone(), Duration::ZERO);
        *successor.prober.0.lock().unwrap() = self.prober.0.lock().unwrap().clone();
        successor.checked().await;
        successor.settled().await;
        successor
    }
}

fn jobs(log: &[String]) -> usize {
    let job = |line: &&String| line.starts_with("POST") && line.ends_with("/jobs");
    log.iter().filter(job).count()
}

#[tokio::test(start_paused = true)]
async fn scripts_run_once_when_the_pool_is_ready() {
    let stage = Stage::new(&with_scripts(tls_pgpool(), &map()));
    stage.put_map();
    stage.settled().await;
    assert_eq!(stage.initialized(), "False/InitWaitingForPool");
    assert!(stage.api.get::<Job>(JOB).is_none());

    stage.finish().await;
    stage.settled().await;
    let log = stage.api.log();
    assert_eq!(jobs(&log), 1, "{log:#?}");
    assert_eq!(stage.initialized(), "False/InitRunning");
    let job: Job = stage.api.get(JOB).unwrap();
    let pod = job.spec.unwrap().template.spec.unwrap();
    let mounted = pod
        .volumes
        .iter()
        .flatten()
        .find(|it| it.name == "certs")
        .unwrap();
    let mounted = mounted.secret.clone().unwrap().secret_name;
    assert_eq!(mounted, Some(stage.copy().unwrap().name_any()));

    // Neither a look nor a new process runs them again.
    stage.settled().await;
    assert_eq!(stage.api.log(), [""; 0]);
    stage.job_ended("Complete", 0);
    let successor = stage.successor().await;
    assert_eq!(successor.initialized(), "True/InitSucceeded");
    assert_eq!(jobs(&successor.api.log()), 0);
    assert!(is_true(
        &successor.pgpool().status.unwrap().conditions,
        ConditionType::Ready
    ));
}

#[tokio::test(start_paused = true)]
async fn scripts_wait_for_pods_that_serve() {
    let stage = Stage::new(&with_scripts(plain_pgpool(), &map()));
    stage.put_map();
    stage.settled().await;
    assert!(stage.workload().is_some());
    assert_eq!(stage.initialized(), "False/InitWaitingForPool");
    assert!(stage.api.get::<Job>(JOB).is_none());
}

#[tokio::test(start_paused = true)]
async fn without_scripts_nothing_is_asked() {
    let stage = Stage::new(&plain_pgpool());
    stage.finish().await;
    let key = ObjectRef::from_obj(&stage.pgpool());
    assert!(
        stage
            .api
            .log()
            .iter()
            .all(|line| !line.contains("jobs") && !line.contains("configmaps"))
    );
    let followed = stage.context.jobs.lookup("demo", "pool-init");
    assert!(matches!(followed, operator_runtime::Lookup::Pending), "{key}");
    assert_eq!(stage.reason(ConditionType::Initialized), None);
}

#[tokio::test(start_paused = true)]
async fn a_missing_source_is_named_and_waited_for() {
    let stage = Stage::new(&with_scripts(plain_pgpool(), &map()));
    stage.finish().await;
    let outcome = stage.settled().await;
    assert!(matches!(outcome, Outcome::ConvergedUntil(_)), "{outcome:?}");
    assert_eq!(stage.initialized(), "False/InitSourceNotFound");
    let message = stage.reason(ConditionType::Initialized).unwrap().2;
    assert!(message.contains("ConfigMap demo/scripts"), "{message}");
    assert!(stage.api.get::<Job>(JOB).is_none());
    assert_eq!(stage.pgpool().status.unwrap().phase, Some(Phase::Ready));
    stage.put_map();
    stage.settled().await;
    assert_eq!(stage.initialized(), "False/InitRunning");

    let stage = Stage::new(&with_scripts(
        plain_pgpool(),
        &json!({ "secret": { "secretName": "scripts" } }),
    ));
    stage.finish().await;
    stage.settled().await;
    assert_eq!(stage.initialized(), "False/InitSourceNotFound");
    // A watch reports its creation.
    let followed = stage.context.named_secrets.lookup("demo", "scripts");
    assert!(matches!(followed, operator_runtime::Lookup::Absent));
}

#[tokio::test(start_paused = true)]
async fn failed_scripts_take_nothing_from_the_pool() {
    let stage = Stage::new(&with_scripts(plain_pgpool(), &map()));
    stage.put_map();
    stage.finish().await;
    stage.settled().await;
    stage.job_ended("Failed", 4);
    let stage = stage.successor().await;
    assert_eq!(stage.initialized(), "False/InitFailed");
    let status = stage.pgpool().status.unwrap();
    assert_eq!(status.phase, Some(Phase::Ready));
    assert!(is_true(&status.conditions, ConditionType::Ready));

    // Deleting the Job runs them again.
    let client = stage.api.client();
    let api: kube::Api<Job> = kube::Api::namespaced(client, "demo");
    api.delete("pool-init", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    stage.api.log();
    let stage = stage.successor().await;
    assert_eq!(jobs(&stage.api.log()), 1);
    assert_eq!(stage.initialized(), "False/InitRunning");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_job_of_the_name_is_left_alone() {
    let stage = Stage::new(&with_scripts(plain_pgpool(), &map()));
    stage.put_map();
    let foreign = json!({
        "kind": "Job", "apiVersion": "batch/v1", "metadata": { "name": "pool-init", "namespace": "demo" },
        "spec": { "template": { "spec": { "containers": [] } } },
    });
    stage.api.put(JOB, foreign);
    stage.finish().await;
    stage.settled().await;
    assert_eq!(stage.initialized(), "False/NameConflict");
    assert_eq!(stage.pgpool().status.unwrap().phase, Some(Phase::Ready));
    assert_eq!(jobs(&stage.api.log()), 0);
}

#[tokio::test(start_paused = true)]
async fn certificates_that_scripts_still_need_stay() {
    let stage = Stage::new(&with_scripts(tls_pgpool(), &map()));
    stage.put_map();
    stage.finish().await;
    stage.settled().await;
    let old = stage.copy().unwrap().name_any();
    let path = format!("/api/v1/namespaces/demo/secrets/{old}");
    let certificates = stage.issue();
    stage.verify(&certificates, true);
    stage.reconcile().await;
    stage.run_pods();
    stage.checked().await;
    assert_ne!(stage.copy().unwrap().name_any(), old);
    assert!(
        stage.api.get::<Secret>(&path).is_some(),
        "a pod of the Job may still start"
    );

    stage.job_ended("Complete", 0);
    let stage = stage.successor().await;
    assert!(stage.api.get::<Secret>(&path).is_none());
}

#[tokio::test(start_paused = true)]
async fn bad_scripts_are_named_and_the_pool_runs() {
    let both = json!({ "configMap": { "name": "a" }, "secret": { "secretName": "b" } });
    let stage = Stage::new(&with_scripts(plain_pgpool(), &both));
    stage.finish().await;
    assert_eq!(stage.initialized(), "False/ConfigurationInvalid");
    assert_eq!(stage.pgpool().status.unwrap().phase, Some(Phase::Ready));
}
