//! A played API server with a `Pgpool` in it, a process in front, and everybody else who takes part.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use operator_runtime::events::Events;
use operator_runtime::{Applier, Named, Policies, Runtime, Scope};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::across_namespaces::AcrossNamespaces;
use crate::fixtures::{certificate_verdict, verdict_on};
use crate::health::{Access, Health, LoginFailure, Pod, Probe, Prober, ServedCertificate};
use crate::metrics::Metrics;
use crate::passwords::PasswordSource;
use crate::peer::{Board, Verdicts};
use crate::rotation_limiter::{ClusterRotationLimiter, Limits};

/// Long enough for every test: who wants the grace time to be over says so.
pub(super) const PATIENT: Duration = Duration::from_hours(1);
/// No test needs more passes until nothing is left to do; broken code would go on without end.
pub(super) const MOST_ROUNDS: usize = 50;
pub(super) const POOL: &str = "/apis/kubedb.com/v1alpha2/namespaces/demo/pgpools/pool";
pub(super) const WORKLOAD: &str = "/apis/apps/v1/namespaces/demo/statefulsets/pool";

/// Every pod accepts logins and serves what it mounts, unless somebody says otherwise of it.
#[derive(Default)]
pub(super) struct Willing(pub(super) Mutex<Pods>);

#[derive(Clone, Default)]
pub(super) struct Pods {
    /// By UID.
    pub(super) serve: HashMap<String, Fingerprint>,
    /// By UID.
    pub(super) refuse: HashSet<String>,
}

impl Prober for Willing {
    fn probe(&self, pod: Pod, _: Arc<Access>) -> BoxFuture<'static, Probe> {
        let pods = self.0.lock().unwrap();
        let served = pods.serve.get(&pod.uid).map(|fingerprint| ServedCertificate {
            fingerprint: *fingerprint,
            not_after: None,
        });
        let login = if pods.refuse.contains(&pod.uid) {
            Err(LoginFailure::PlainText)
        } else {
            Ok(())
        };
        std::future::ready(Probe::ended(served, login)).boxed()
    }
}

pub(super) struct Stage {
    pub(super) api: Arc<FakeApi>,
    pub(super) context: Arc<Context>,
    pub(super) board: Board,
    pub(super) prober: Arc<Willing>,
    pub(super) pki: Pki,
    /// Keeps the watches by name alive.
    _runtime: Runtime,
}

impl Stage {
    /// A `Pgpool` and everything that it refers to, as a user would have made them.
    pub(super) fn new(pgpool: &Pgpool) -> Self {
        let stage = Self::on(FakeApi::new(), PATIENT);
        let api = &stage.api;
        let inputs = crate::fixtures::inputs(pgpool);
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
    pub(super) fn on(api: Arc<FakeApi>, grace: Duration) -> Self {
        let mut runtime = Runtime::for_test(api.client());
        let board = Board::default();
        let prober = Arc::new(Willing::default());
        let context = Arc::new(Context {
            client: api.client(),
            applier: Applier::new(api.client(), names::PROVISIONER, names::ANNOTATION_APPLIED_HASH),
            events: Events::new(api.client(), names::PROVISIONER),
            caches: api.caches(),
            named_secrets: Named::new(&mut runtime, crate::caches::trim_named_secret),
            remote_app_bindings: Named::new(&mut runtime, |_| {}),
            jobs: Named::new(&mut runtime, observe::trim_job),
            verdicts: Arc::new(board.clone()) as Arc<dyn Verdicts>,
            health: Health::new(prober.clone(), Metrics::default(), CancellationToken::new()),
            rotation_limiter: ClusterRotationLimiter::new(Limits::default()),
            window: None,
            memory: memory::Memory::default(),
            passwords: PasswordSource::default(),
            scope: Scope::All,
            across_namespaces: AcrossNamespaces::default(),
            allow_commands: false,
            policies: Policies::trusted(),
            cluster_domain: "cluster.local".to_owned(),
            handoff_grace: grace,
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

    pub(super) fn pgpool(&self) -> Pgpool {
        self.api.get(POOL).unwrap()
    }

    pub(super) fn workload(&self) -> Option<StatefulSet> {
        self.api.get(WORKLOAD)
    }

    pub(super) async fn try_once(&self) -> Result<Outcome, Error> {
        Box::pin(reconcile(Arc::new(self.pgpool()), self.context.clone())).await
    }

    /// Reconciles until the watches by name have answered.
    pub(super) async fn reconcile(&self) -> Outcome {
        let mut read = self.context.named_secrets.changes();
        for _ in 0..MOST_ROUNDS {
            let outcome = self.try_once().await.unwrap();
            if outcome.reason() != Some("Reading") {
                return outcome;
            }
            tokio::time::timeout(Duration::from_secs(5), read.next())
                .await
                .unwrap();
        }
        panic!("still reading after {MOST_ROUNDS} rounds");
    }

    /// Reconciles three times on what the cache shows of the `Pgpool`, not on what stands: while the caches lag, nothing
    /// is to be sent again.
    pub(super) async fn thrice(&self, shown: &Arc<Pgpool>) -> Outcome {
        let once = || Box::pin(reconcile(shown.clone(), self.context.clone()));
        once().await.unwrap();
        once().await.unwrap();
        once().await.unwrap()
    }

    /// Reconciles until a write fails, or there is nothing left to do.
    pub(super) async fn dies(&self) -> bool {
        let mut read = self.context.named_secrets.changes();
        for _ in 0..MOST_ROUNDS {
            match self.try_once().await {
                Err(_) => return true,
                Ok(outcome) if outcome.reason() != Some("Reading") => return false,
                Ok(_) => read.next().await,
            };
        }
        panic!("still reading after {MOST_ROUNDS} rounds");
    }

    /// cert-manager writes the Secrets.
    pub(super) fn issue(&self) -> Vec<Certificate> {
        let certificates = certificates(&self.pgpool(), &self.pki);
        for certificate in &certificates {
            self.store(certificate);
        }
        certificates
    }

    pub(super) fn store(&self, certificate: &Certificate) {
        let mut secret = serde_json::to_value(certificate.secret.present().unwrap().as_ref()).unwrap();
        secret["kind"] = "Secret".into();
        self.api.put(
            &format!("/api/v1/namespaces/demo/secrets/{}", certificate.secret_name),
            secret,
        );
    }

    /// ops-manager says what it found.
    pub(super) fn verify(&self, certificates: &[Certificate], ready: bool) {
        let certificates = certificates.iter().map(|certificate| {
            let fingerprint = certificate.leaf().present().copied().flatten();
            certificate_verdict(certificate.alias, fingerprint, ready, "because")
        });
        self.board.connect();
        let pgpool = self.pgpool();
        let verdict = verdict_on(
            &pgpool,
            pgpool.metadata.generation.unwrap(),
            certificates.collect(),
        );
        self.board.put(&ObjectRef::from_obj(&pgpool), Arc::new(verdict));
    }

    /// Kubernetes brings as many pods to the workload as it may at once, and they are ready.
    pub(super) fn run_pods(&self) {
        cluster::run_pods(self);
    }

    /// The copy of the certificates that the workload mounts.
    pub(super) fn copy(&self) -> Option<Secret> {
        let workload = self.workload()?;
        let name = observe::CertificateRevision::of_workload(&workload)?;
        self.api.get(&format!("/api/v1/namespaces/demo/secrets/{name}"))
    }

    /// Reconciles when every pod that runs has been asked, until no pod is left to be replaced.
    pub(super) async fn checked(&self) -> Outcome {
        for _ in 0..MOST_ROUNDS {
            let outcome = self.asked().await;
            if !cluster::is_behind(self) {
                return outcome;
            }
            self.run_pods();
        }
        panic!("pods are still being replaced after {MOST_ROUNDS} rounds");
    }

    /// Waits until every pod has been asked, then reconciles.
    pub(super) async fn asked(&self) -> Outcome {
        let mut asked = self.context.health.changes();
        let key = ObjectRef::from_obj(&self.pgpool());
        self.reconcile().await;
        let pods = || observe::pool_pods(&self.pgpool(), &self.context).own;
        let known = || self.context.health.results(&key);
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
    pub(super) async fn finish(&self) -> Outcome {
        self.reconcile().await;
        let certificates = self.issue();
        self.verify(&certificates, true);
        self.reconcile().await;
        self.run_pods();
        self.checked().await
    }

    pub(super) fn reason(&self, ty: ConditionType) -> Option<(String, String, String)> {
        let status = self.pgpool().status?;
        let condition = find(&status.conditions, ty)?.clone();
        Some((condition.status, condition.reason, condition.message))
    }
}

pub(super) fn writes(log: &[String]) -> Vec<&str> {
    log.iter()
        .filter(|line| !line.starts_with("GET"))
        .map(String::as_str)
        .collect()
}
