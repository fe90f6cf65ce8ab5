//! A `Pgpool` from its manifest to a proven pod, against an API server that is played.

mod cluster;
mod delivery;
mod init;
mod rolling;
mod users;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::events::Events;
use operator_runtime::{Applier, Named, Runtime, Scope};
use serde_json::{Value, json};
use shared_types::conditions::{ConditionType, find, is_true};
use shared_types::{Phase, names};
use tls_bundle::Fingerprint;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fleet::{Fleet, Limits};
use crate::health::{Access, Health, LoginFailure, Pod, Probe, Prober, Served};
use crate::metrics::Metrics;
use crate::peer::{Board, CertificateVerdict, Verdict, Verdicts};
use crate::pgpool::handoff::Certificate;
use crate::rotations::Rotations;
use crate::testing::api::FakeApi;
use crate::testing::{Pki, certificates, plain_pgpool, tls_pgpool};

mod scraped;
mod settings;

/// Long enough for every test: who wants the grace time to be over says so.
const PATIENT: Duration = Duration::from_hours(1);
const POOL: &str = "/apis/kubedb.com/v1alpha2/namespaces/demo/pgpools/pool";
const WORKLOAD: &str = "/apis/apps/v1/namespaces/demo/statefulsets/pool";

/// Every pod accepts logins and serves what it mounts, unless somebody says otherwise of it.
#[derive(Default)]
struct Willing(Mutex<Pods>);

#[derive(Clone, Default)]
struct Pods {
    /// By UID.
    serve: HashMap<String, Fingerprint>,
    /// By UID.
    refuse: HashSet<String>,
}

impl Prober for Willing {
    fn probe(&self, pod: Pod, _: Arc<Access>) -> BoxFuture<'static, Probe> {
        let pods = self.0.lock().unwrap();
        let served = pods.serve.get(&pod.uid).map(|fingerprint| Served {
            fingerprint: *fingerprint,
            not_after: None,
        });
        let login = if pods.refuse.contains(&pod.uid) {
            Err(LoginFailure::PlainText)
        } else {
            Ok(())
        };
        std::future::ready(Probe { served, login }).boxed()
    }
}

struct Stage {
    api: Arc<FakeApi>,
    context: Arc<Context>,
    board: Board,
    prober: Arc<Willing>,
    pki: Pki,
    /// Keeps the watches by name alive.
    _runtime: Runtime,
}

impl Stage {
    /// A `Pgpool` and everything that it refers to, as a user would have made them.
    fn new(pgpool: &Pgpool) -> Self {
        let stage = Self::on(FakeApi::new(), PATIENT);
        let api = &stage.api;
        let inputs = crate::testing::inputs(pgpool);
        let put = |path: &str, kind: &str, mut object: Value| {
            object["kind"] = kind.into();
            api.put(path, object);
        };
        let namespace = pgpool.spec.postgres_ref.namespace.clone().unwrap();
        let version = serde_json::to_value(inputs.version.present().unwrap().as_ref()).unwrap();
        put(
            "/apis/catalog.kubedb.com/v1alpha1/pgpoolversions/4.6.1",
            "PgpoolVersion",
            version,
        );
        let binding = serde_json::to_value(inputs.app_binding.present().unwrap().as_ref()).unwrap();
        let path = format!("/apis/appcatalog.appscode.com/v1alpha1/namespaces/{namespace}/appbindings/pg");
        put(&path, "AppBinding", binding);
        let secret = inputs.backend_secret.unwrap();
        let mut secret = serde_json::to_value(secret.present().unwrap().as_ref()).unwrap();
        secret["metadata"]["namespace"] = namespace.clone().into();
        put(
            &format!("/api/v1/namespaces/{namespace}/secrets/pg-auth"),
            "Secret",
            secret,
        );
        put(POOL, "Pgpool", serde_json::to_value(pgpool).unwrap());
        stage
    }

    /// A new process in front of an API server that is there already.
    fn on(api: Arc<FakeApi>, grace: Duration) -> Self {
        let mut runtime = Runtime::for_test(api.client());
        let board = Board::default();
        let prober = Arc::new(Willing::default());
        let context = Arc::new(Context {
            client: api.client(),
            applier: Applier::new(api.client(), names::PROVISIONER),
            events: Events::new(api.client(), names::PROVISIONER),
            caches: api.caches(),
            named: Named::new(&mut runtime, secrets::trim),
            elsewhere: Named::new(&mut runtime, |_| {}),
            jobs: Named::new(&mut runtime, observe::trim_job),
            verdicts: Arc::new(board.clone()) as Arc<dyn Verdicts>,
            health: Health::new(prober.clone(), Metrics::default(), CancellationToken::new()),
            fleet: Fleet::new(Limits::default()),
            rotations: Rotations::default(),
            window: None,
            patience: patience::Patience::default(),
            pace: pace::Pace::default(),
            written: written::Written::default(),
            scope: Scope::All,
            cluster_domain: "cluster.local".to_owned(),
            grace,
            ca_overlap: Duration::ZERO,
            deadline: Duration::from_secs(5),
        });
        Self {
            api,
            context,
            board,
            prober,
            pki: Pki::new(),
            _runtime: runtime,
        }
    }

    fn pgpool(&self) -> Pgpool {
        self.api.get(POOL).unwrap()
    }

    fn workload(&self) -> Option<StatefulSet> {
        self.api.get(WORKLOAD)
    }

    async fn try_once(&self) -> Result<Outcome, Error> {
        Box::pin(reconcile(Arc::new(self.pgpool()), self.context.clone())).await
    }

    /// Reconciles until the watches by name have answered.
    async fn reconcile(&self) -> Outcome {
        let mut read = self.context.named.changes();
        loop {
            let outcome = self.try_once().await.unwrap();
            if outcome.reason() != Some("Reading") {
                return outcome;
            }
            tokio::time::timeout(Duration::from_secs(5), read.next())
                .await
                .unwrap();
        }
    }

    /// Reconciles three times on what the cache shows of the `Pgpool`, not on what stands: while the caches lag, nothing
    /// is to be sent again.
    async fn thrice(&self, shown: &Arc<Pgpool>) -> Outcome {
        let once = || Box::pin(reconcile(shown.clone(), self.context.clone()));
        once().await.unwrap();
        once().await.unwrap();
        once().await.unwrap()
    }

    /// Reconciles until a write fails, or there is nothing left to do.
    async fn dies(&self) -> bool {
        let mut read = self.context.named.changes();
        loop {
            match self.try_once().await {
                Err(_) => return true,
                Ok(outcome) if outcome.reason() != Some("Reading") => return false,
                Ok(_) => read.next().await,
            };
        }
    }

    /// cert-manager writes the Secrets.
    fn issue(&self) -> Vec<Certificate> {
        let certificates = certificates(&self.pgpool(), &self.pki);
        for certificate in &certificates {
            self.store(certificate);
        }
        certificates
    }

    fn store(&self, certificate: &Certificate) {
        let mut secret = serde_json::to_value(certificate.secret.present().unwrap().as_ref()).unwrap();
        secret["kind"] = "Secret".into();
        self.api.put(
            &format!("/api/v1/namespaces/demo/secrets/{}", certificate.secret_name),
            secret,
        );
    }

    /// ops-manager says what it found.
    fn judge(&self, certificates: &[Certificate], ready: bool) {
        let verdict = |certificate: &Certificate| CertificateVerdict {
            alias: certificate.alias,
            fingerprint: certificate.leaf().present().copied().flatten(),
            ready,
            message: "because".to_owned(),
        };
        let certificates = certificates.iter().map(verdict).collect();
        self.board.connect();
        let verdict = Verdict {
            uid: self.pgpool().uid().unwrap(),
            generation: self.pgpool().metadata.generation.unwrap(),
            certificates,
        };
        self.board.put(&ObjectRef::from_obj(&self.pgpool()), verdict);
    }

    /// Kubernetes brings as many pods to the workload as it may at once, and they are ready.
    fn run_pods(&self) {
        cluster::run_pods(self);
    }

    /// The copy of the certificates that the workload mounts.
    fn copy(&self) -> Option<Secret> {
        let workload = self.workload()?;
        let name = rollout::certificates(&workload)?;
        self.api.get(&format!("/api/v1/namespaces/demo/secrets/{name}"))
    }

    /// Reconciles when every pod that runs has been asked, until no pod is left to be replaced.
    async fn checked(&self) -> Outcome {
        loop {
            let outcome = self.asked().await;
            if !cluster::is_behind(self) {
                return outcome;
            }
            self.run_pods();
        }
    }

    /// Waits until every pod has been asked, then reconciles.
    async fn asked(&self) -> Outcome {
        let mut asked = self.context.health.changes();
        let key = ObjectRef::from_obj(&self.pgpool());
        self.reconcile().await;
        let pods = || pods::of(&self.pgpool(), &self.context.caches.pods, &self.context.written);
        let known = || self.context.health.standings(&key);
        while pods()
            .iter()
            .any(|pod| pod.ready && !known().contains_key(&pod.uid))
        {
            tokio::time::timeout(Duration::from_secs(5), asked.next())
                .await
                .unwrap();
        }
        self.reconcile().await
    }

    /// All the way.
    async fn finish(&self) -> Outcome {
        self.reconcile().await;
        let certificates = self.issue();
        self.judge(&certificates, true);
        self.reconcile().await;
        self.run_pods();
        self.checked().await
    }

    fn reason(&self, ty: ConditionType) -> Option<(String, String, String)> {
        let status = self.pgpool().status?;
        let condition = find(&status.conditions, ty)?.clone();
        Some((condition.status, condition.reason, condition.message))
    }
}

fn writes(log: &[String]) -> Vec<&str> {
    log.iter()
        .filter(|line| !line.starts_with("GET"))
        .map(String::as_str)
        .collect()
}

/// Waits for certificates, and for nothing that time brings.
const WAITS: Outcome = Outcome::Waiting {
    reason: "WaitingForCertificates",
    after: None,
};

#[tokio::test]
async fn the_foundation_comes_before_the_certificates() {
    let stage = Stage::new(&tls_pgpool());
    assert_eq!(stage.reconcile().await, WAITS);
    let log = stage.api.log();
    let questions: Vec<_> = log.iter().filter(|line| line.starts_with("GET")).collect();
    assert_eq!(questions, ["GET /api/v1/namespaces/demo/secrets/pool-auth"]);
    // Nine objects and one status; no workload before its certificates.
    assert_eq!(writes(&log).len(), 10, "{log:#?}");
    assert_eq!(writes(&log)[9], format!("PATCH {POOL}/status"));
    assert!(stage.workload().is_none());

    stage.issue();
    let outcome = stage.reconcile().await;
    assert!(
        outcome != WAITS && outcome.reason() == WAITS.reason(),
        "looks again soon: {outcome:?}"
    );
    assert!(stage.workload().is_none(), "the verdict is not there yet");
}

#[tokio::test]
async fn from_the_verdict_to_proven_pods() {
    let stage = Stage::new(&tls_pgpool());
    stage.reconcile().await;
    let certificates = stage.issue();
    stage.api.log();
    stage.judge(&certificates, true);
    stage.reconcile().await;
    let copy = format!(
        "/api/v1/namespaces/demo/secrets/{}",
        stage.copy().unwrap().name_any()
    );
    let status = format!("PATCH {POOL}/status");
    let expected = [
        format!("PATCH {copy}"),
        format!("PATCH {WORKLOAD}"),
        status.clone(),
    ];
    assert_eq!(writes(&stage.api.log()), expected);
    assert_eq!(
        stage.reason(ConditionType::Reconciling).unwrap().1,
        "WaitingForPods"
    );

    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
    let event = "POST /apis/events.k8s.io/v1/namespaces/demo/events".to_owned();
    assert_eq!(writes(&stage.api.log()), [status, event]);
    let status = stage.pgpool().status.unwrap();
    assert_eq!(status.phase, Some(Phase::Ready));
    assert!(is_true(&status.conditions, ConditionType::Ready));
    let leaf = certificates[0]
        .leaf()
        .present()
        .copied()
        .flatten()
        .map(|leaf| leaf.to_string());
    assert_eq!(status.pods.len(), 3);
    assert!(
        status
            .pods
            .iter()
            .all(|pod| pod.ready && pod.served_fingerprint == leaf)
    );
}

#[tokio::test]
async fn converged_means_that_nothing_is_sent() {
    for pgpool in [tls_pgpool(), plain_pgpool()] {
        let stage = Stage::new(&pgpool);
        stage.finish().await;
        stage.api.log();
        for _ in 0..3 {
            assert_eq!(stage.reconcile().await, Outcome::Converged);
        }
        assert_eq!(stage.api.log(), [""; 0]);

        // Nor by a new process, whose memory is empty.
        let successor = Stage::on(stage.api.clone(), Duration::ZERO);
        *successor.prober.0.lock().unwrap() = stage.prober.0.lock().unwrap().clone();
        assert_eq!(successor.checked().await, Outcome::Converged);
        let log = successor.api.log();
        let said = log.iter().all(|line| *line == format!("PATCH {POOL}/status"));
        // It judged for itself and says so; nothing else.
        assert!(said && log.len() <= 1, "{log:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_twice_while_the_caches_lag() {
    let stage = Stage::new(&tls_pgpool());
    stage.reconcile().await;
    let (certificates, before) = (stage.issue(), stage.api.log().len());
    assert_eq!(before, 11);
    stage.judge(&certificates, true);
    stage.api.hold();
    let shown = Arc::new(stage.pgpool());
    stage.thrice(&shown).await;
    assert_eq!(stage.api.log().len(), 3, "copy, workload and status, once");
    stage.api.release();
    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
}

#[tokio::test]
async fn a_new_pgpool_is_not_asked_about_again_while_the_caches_lag() {
    let stage = Stage::new(&plain_pgpool());
    let shown = Arc::new(stage.pgpool());
    let mut read = stage.context.named.changes();
    stage.try_once().await.unwrap();
    read.next().await;
    stage.api.hold();
    stage.thrice(&shown).await;
    let log = stage.api.log();
    assert_eq!(writes(&log).len(), 11, "{log:#?}");
    assert_eq!(log.len(), 12, "one question about the auth Secret");
}

#[tokio::test]
async fn without_tls_the_workload_follows_at_once() {
    let stage = Stage::new(&plain_pgpool());
    stage.reconcile().await;
    let log = stage.api.log();
    let writes = writes(&log);
    assert_eq!(
        writes[writes.len() - 2..],
        [format!("PATCH {WORKLOAD}"), format!("PATCH {POOL}/status")]
    );
    assert!(stage.copy().is_none());
    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
}

/// Everything that is stored but what differs from run to run: passwords, and times.
fn settled(api: &FakeApi) -> std::collections::BTreeMap<String, Value> {
    let mut contents = api.contents();
    for object in contents.values_mut() {
        if object["metadata"]["name"]
            .as_str()
            .is_some_and(|name| ["pool-auth", "pool-pcp-6789ab"].contains(&name))
        {
            object["data"].take();
        }
        object["metadata"]["annotations"].take();
        for condition in object["status"]["conditions"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            condition["lastTransitionTime"].take();
        }
    }
    contents
}

#[tokio::test]
async fn killed_between_any_two_writes_the_end_is_the_same() {
    let certificates = certificates(&tls_pgpool(), &Pki::new());
    let begin = || {
        let stage = Stage::new(&tls_pgpool());
        for certificate in &certificates {
            stage.store(certificate);
        }
        stage.judge(&certificates, true);
        stage
    };
    let undisturbed = begin();
    undisturbed.reconcile().await;
    undisturbed.run_pods();
    undisturbed.checked().await;
    let expected = settled(&undisturbed.api);
    let writes = 12;
    for budget in 0..=writes {
        let first = begin();
        first.api.budget(Some(budget));
        assert_eq!(first.dies().await, budget < writes, "after {budget} writes");
        let api = first.api.clone();
        drop(first);
        let password = || {
            let secret: Option<Secret> = api.get("/api/v1/namespaces/demo/secrets/pool-auth");
            secret.map(|secret| secret.data.unwrap()["password"].0.clone())
        };
        let in_use = password();
        api.budget(None);
        let second = Stage::on(api.clone(), PATIENT);
        second.judge(&certificates, true);
        second.reconcile().await;
        second.run_pods();
        assert_eq!(
            second.checked().await,
            Outcome::Converged,
            "after {budget} writes"
        );
        assert!(
            in_use.is_none() || in_use == password(),
            "the password in use was replaced"
        );
        let end = settled(&api);
        assert!(
            end.keys().eq(expected.keys()),
            "after {budget} writes: {:?}",
            end.keys()
        );
        for (path, object) in end {
            let same = object == expected[&path];
            assert!(
                same,
                "after {budget} writes {path} is\n{object:#}\ninstead of\n{:#}",
                expected[&path]
            );
        }
    }
}

#[tokio::test]
async fn a_foreign_object_stops_everything_and_touches_nothing() {
    let path = "/api/v1/namespaces/demo/services/pool";
    let foreign = json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": { "name": "pool", "namespace": "demo", "labels": { "app": "shop" } },
        "spec": { "selector": { "app": "shop" } },
    });
    let stage = Stage::new(&tls_pgpool());
    stage.api.put(path, foreign.clone());
    let certificates = stage.issue();
    stage.judge(&certificates, true);
    let outcome = stage.reconcile().await;
    assert!(
        matches!(
            outcome,
            Outcome::Waiting {
                reason: "NameConflict",
                after: Some(_)
            }
        ),
        "{outcome:?}"
    );
    let (status, reason, message) = stage.reason(ConditionType::Stalled).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "NameConflict"));
    assert!(message.contains("Service demo/pool"), "{message}");
    assert!(stage.workload().is_none());
    let now: Value = stage.api.get(path).unwrap();
    assert_eq!(now["spec"], foreign["spec"]);

    // Mended: somebody removes it.
    let client = stage.api.client();
    let services: kube::Api<k8s_openapi::api::core::v1::Service> = kube::Api::namespaced(client, "demo");
    services
        .delete("pool", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    stage.reconcile().await;
    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert_eq!(stage.reason(ConditionType::Stalled), None);
}

#[tokio::test]
async fn a_spoiled_certificate_never_reaches_a_pod() {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    let (workload, copy) = (stage.workload(), stage.copy().unwrap());
    stage.api.log();

    // Another key under the same leaf, and a verdict that is not withdrawn yet.
    let mut certificates = certificates(&stage.pgpool(), &stage.pki);
    let mut spoiled = certificates.remove(0);
    crate::testing::spoil(&mut spoiled, "tls.key", Some(&stage.pki.client("x").key));
    stage.store(&spoiled);
    stage.judge(std::slice::from_ref(&spoiled), true);
    certificates.insert(0, spoiled);
    certificates
        .iter()
        .skip(1)
        .for_each(|certificate| stage.store(certificate));
    stage.judge(&certificates, true);
    stage.reconcile().await;
    assert_eq!(stage.workload(), workload);
    assert_eq!(stage.copy().unwrap().data, copy.data);
    let (status, reason, message) = stage.reason(ConditionType::Reconciling).unwrap();
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "WaitingForCertificates")
    );
    assert!(
        message.contains("demo/pool-server-cert") && message.contains("tls.key"),
        "{message}"
    );
    assert_eq!(
        stage.pgpool().status.unwrap().phase,
        Some(Phase::Ready),
        "what runs keeps running"
    );

    // Everything else about the workload may still change.
    let mut pgpool = stage.pgpool();
    pgpool.spec.replicas = Some(5);
    stage.api.put(POOL, serde_json::to_value(&pgpool).unwrap());
    stage.reconcile().await;
    assert_eq!(stage.workload().unwrap().spec.unwrap().replicas, Some(5));
    assert_eq!(stage.copy().unwrap().data, copy.data);
}

#[tokio::test]
async fn a_renewed_certificate_rolls_and_the_old_copy_goes_last() {
    let stage = Stage::new(&tls_pgpool());
    stage.finish().await;
    let old = stage.copy().unwrap().name_any();
    let path = |name: &str| format!("/api/v1/namespaces/demo/secrets/{name}");

    let certificates = stage.issue();
    stage.judge(&certificates, true);
    stage.reconcile().await;
    let new = stage.copy().unwrap().name_any();
    assert_ne!(new, old);
    assert_eq!(stage.reason(ConditionType::Reconciling).unwrap().1, "RollingOut");
    assert!(stage.api.get::<Secret>(&path(&old)).is_some(), "pods mount it");

    stage.run_pods();
    assert_eq!(stage.checked().await, Outcome::Converged);
    assert!(
        stage.api.get::<Secret>(&path(&old)).is_none(),
        "nobody mounts it any more"
    );
    assert!(stage.api.get::<Secret>(&path(&new)).is_some());
}

#[tokio::test]
async fn with_the_channel_cut_the_end_is_the_same() {
    // The verdict in the status is enough.
    let stage = Stage::new(&tls_pgpool());
    stage.reconcile().await;
    let certificates = stage.issue();
    let mut pgpool = stage.pgpool();
    let published = certificates.iter().map(|certificate| {
        let leaf = certificate.leaf().present().copied().flatten().unwrap();
        json!({ "alias": certificate.alias, "fingerprint": leaf.to_string(), "ready": true })
    });
    let status = pgpool.status.as_mut().unwrap();
    status.certificates = serde_json::from_value(published.collect::<Vec<_>>().into()).unwrap();
    let verdict: k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition = serde_json::from_value(json!({
        "type": "CertificatesReady", "status": "True", "reason": "CertificatesIssued", "message": "",
        "observedGeneration": 4, "lastTransitionTime": "2027-01-01T00:00:00Z",
    }))
    .unwrap();
    status.conditions.push(verdict);
    stage.api.put(POOL, {
        let mut object = serde_json::to_value(&pgpool).unwrap();
        object["kind"] = "Pgpool".into();
        object
    });
    stage.reconcile().await;
    let by_status = stage.workload().unwrap();

    // And so is nothing at all, after the grace time.
    let alone = Stage::on(stage.api.clone(), Duration::ZERO);
    alone.reconcile().await;
    assert_eq!(alone.workload().unwrap(), by_status);
}

#[tokio::test]
async fn a_pgpool_that_is_being_deleted_is_left_alone() {
    let stage = Stage::new(&tls_pgpool());
    let mut pgpool = serde_json::to_value(stage.pgpool()).unwrap();
    pgpool["metadata"]["deletionTimestamp"] = "2027-01-01T00:00:00Z".into();
    stage.api.put(POOL, pgpool);
    assert_eq!(stage.reconcile().await, Outcome::Converged);
    assert_eq!(stage.api.log(), [""; 0]);
}

#[tokio::test]
async fn what_is_missing_is_named_and_mended_without_help() {
    let stage = Stage::new(&tls_pgpool());
    let secret = "/api/v1/namespaces/demo/secrets/pg-auth";
    let backup: Value = stage.api.get(secret).unwrap();
    let client = stage.api.client();
    let secrets: kube::Api<Secret> = kube::Api::namespaced(client, "demo");
    secrets
        .delete("pg-auth", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let outcome = stage.reconcile().await;
    assert_eq!(
        outcome,
        Outcome::Waiting {
            reason: "BackendSecretNotFound",
            after: None
        }
    );
    let (_, _, message) = stage.reason(ConditionType::Reconciling).unwrap();
    assert!(message.contains("demo/pg-auth"), "{message}");
    assert!(stage.api.log().iter().all(|line| !line.contains("statefulsets")));
    stage.api.put(secret, backup);
    let fresh = Stage::on(stage.api.clone(), PATIENT);
    assert_eq!(fresh.reconcile().await.reason(), Some("WaitingForCertificates"));
}

#[tokio::test]
async fn a_pgpool_that_goes_during_its_reconcile_leaves_nothing_in_memory() {
    let stage = Stage::new(&plain_pgpool());
    stage.finish().await;
    let last = Arc::new(stage.pgpool());
    let key = ObjectRef::from_obj(last.as_ref());
    let known = || stage.context.health.asks(&key);
    assert!(known());
    stage.api.pgpools.delete(stage.pgpool());
    // Whatever comes of it.
    drop(Box::pin(reconcile(last, stage.context.clone())).await);
    assert!(!known());
}

#[tokio::test]
async fn an_auth_secret_that_others_make_is_waited_for() {
    let mut pgpool = plain_pgpool();
    pgpool.spec.auth_secret = Some(crate::testing::parse("{externallyManaged: true}"));
    let stage = Stage::new(&pgpool);
    assert_eq!(stage.reconcile().await.reason(), Some("AuthSecretNotFound"));
    // A watch tells when it comes, though it has no labels of ours.
    let followed = stage.context.named.lookup("demo", "pool-auth");
    assert!(
        matches!(followed, operator_runtime::Lookup::Absent),
        "nobody follows it"
    );
}
