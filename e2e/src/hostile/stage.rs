//! Where attacks take place: a control plane with both operators, the neighbor, and the users of a tenant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams};
use kube::{Client, ResourceExt as _};
use local_cluster::components::Programs;
use local_cluster::control_plane::{CertManager, ControlPlane, client};
use local_cluster::{manifests, wait};
use serde_json::{Value, json};
use shared_types::conditions::{self, ConditionType};

use crate::namespace::channel::Credentials;
use crate::namespace::fixtures::{self, ISSUER, Manifest, POOL};
use crate::namespace::operator_process::{OperatorArgs, free_address};
use crate::namespace::test_ca::TestCa;
use crate::namespace::{SOON, TestNamespace, offer_version, rbac};
use crate::operators::{NAMES, NAMESPACE, object};

use super::attack::User;
use super::marks::Marks;
use super::supervised::Supervised;

/// The issuer for all namespaces.
const CLUSTER_ISSUER: &str = "shared-ca";

/// The kind of the Prometheus operator, with any content: its content is checked here, not by its schema.
const SERVICE_MONITORS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: servicemonitors.monitoring.coreos.com }
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: { plural: servicemonitors, singular: servicemonitor, kind: ServiceMonitor, listKind: ServiceMonitorList }
  versions:
  - name: v1
    served: true
    storage: true
    schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
";

/// What is attacked.
pub(crate) struct Installation {
    /// The program of each operator by its name.
    pub(crate) operators: BTreeMap<&'static str, PathBuf>,
    /// The folder with the charts that give them rights, settings, CRDs and policies.
    pub(crate) charts: PathBuf,
    /// What the operators log.
    pub(crate) log_filter: String,
    /// Time for an operator to become ready, and for the neighbor to be served.
    pub(crate) patience: Duration,
    /// Processor time that both may use for one attack, in seconds.
    pub(crate) processor: u32,
}

pub(super) struct Stage {
    // Ends before its control plane does.
    pub(super) operators: Vec<Supervised>,
    pub(super) admin: Client,
    pub(super) marks: Marks,
    pub(super) neighbor: TestNamespace,
    users: BTreeMap<User, Client>,
    policies: Vec<DynamicObject>,
    changes: u32,
    patience: Duration,
    pub(super) processor: u32,
    pub(super) plane: Arc<ControlPlane>,
}

impl Stage {
    pub(super) async fn set(programs: &Programs, installation: &Installation) -> anyhow::Result<Self> {
        let plane = Arc::new(ControlPlane::start(programs, CertManager::Running).await?);
        let (admin, charts) = (plane.client(), &installation.charts);
        let helm = programs.path("helm")?;
        let policies = install(&admin, helm, charts).await?;
        manifests::apply(&admin, "", SERVICE_MONITORS).await?;
        cluster_issuer(&admin).await?;
        let mut users = BTreeMap::new();
        for user in User::ALL {
            users.insert(user, client(&plane.user(user.name(), user.name(), None)?).await?);
        }
        let mut marks = Marks::random();
        let neighbor = neighbor(&admin, &marks).await?;
        let operators = start_operators(&plane, helm, installation).await?;
        neighbor.certificates_ready(POOL).await?;
        neighbor.workload(POOL).await?;
        add_generated(&neighbor, &mut marks).await?;
        Ok(Self {
            operators,
            admin,
            marks,
            neighbor,
            users,
            policies,
            changes: 0,
            patience: installation.patience,
            processor: installation.processor,
            plane,
        })
    }

    pub(super) fn user(&self, user: User) -> anyhow::Result<&Client> {
        self.users.get(&user).context("a user without a client")
    }

    /// Restarts both operators, and waits until they are ready.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.admin.clone(), NAMESPACE);
        for operator in &mut self.operators {
            operator.restart()?;
            // One that was killed has left its lease, which would only cost time.
            let _ = leases
                .delete(&object(operator.name), &DeleteParams::default())
                .await;
        }
        for operator in &mut self.operators {
            operator.ready(self.patience).await?;
        }
        Ok(())
    }

    /// Makes both run and be ready, whatever was done to them, and begins to count anew.
    pub(super) async fn recover(&mut self) -> anyhow::Result<()> {
        let mut healthy = true;
        for operator in &mut self.operators {
            healthy &= operator.check().is_ok() && operator.ready(Duration::from_secs(1)).await.is_ok();
        }
        if !healthy {
            self.restart().await.context("after the attack before this one")?;
        }
        self.operators.iter_mut().try_for_each(Supervised::forget)
    }

    /// Changes the neighbor's pool in a way that both operators have to carry out, and waits until they have; returns how
    /// long that took.
    pub(super) async fn serve_neighbor(&mut self) -> anyhow::Result<Duration> {
        self.changes += 1;
        let replicas = 1 + self.changes % 2;
        let renew = format!("{}h", 300 + self.changes);
        let start = Instant::now();
        let change = json!({
            "replicas": replicas,
            "tls": {"certificates": [
                {"alias": "server", "renewBefore": renew},
            ]},
        });
        self.neighbor.edit(POOL, change).await?;
        let ns = &self.neighbor;
        wait::until("the neighbor's pool is served", self.patience, async || {
            let pool = ns.pgpool(POOL).await?;
            let generation = pool.metadata.generation;
            let status = pool.status.unwrap_or_default();
            ensure!(
                status.observed_generation == generation,
                "observedGeneration lags"
            );
            let verdict = conditions::find(&status.conditions, ConditionType::CertificatesReady);
            let verdict = verdict.context("no CertificatesReady")?;
            ensure!(
                verdict.observed_generation == generation,
                "CertificatesReady lags"
            );
            let workload = ns.api::<StatefulSet>().get(POOL).await?;
            let wanted = i32::try_from(replicas)?;
            ensure!(
                workload.spec.and_then(|spec| spec.replicas) == Some(wanted),
                "the StatefulSet lags"
            );
            let certificate = ns.certificates().get("pool-server-cert").await?;
            let renews = certificate.data["spec"]["renewBefore"]
                .as_str()
                .unwrap_or_default();
            ensure!(renews.starts_with(&renew), "the Certificate lags: {renews:?}");
            Ok(())
        })
        .await?;
        Ok(start.elapsed())
    }

    /// Deletes the policies, and waits until the API server no longer applies them to a user of a namespace.
    pub(super) async fn delete_policies(&self, tenant: &str) -> anyhow::Result<()> {
        for policy in &self.policies {
            let api = manifests::api(&self.admin, "", policy).await?;
            let _ = api.delete(&policy.name_any(), &DeleteParams::default()).await;
        }
        let guarded = fixtures::plain_pgpool(tenant)?
            .with("/spec/podTemplate/spec/hostPID", json!(true))
            .object()?;
        let api = manifests::api(self.user(User::PoolEditor)?, tenant, &guarded).await?;
        let trial = kube::api::PostParams {
            dry_run: true,
            ..kube::api::PostParams::default()
        };
        wait::until("no policy is applied", SOON, async || {
            api.create(&trial, &guarded).await?;
            Ok(())
        })
        .await
    }

    pub(super) async fn restore_policies(&self) -> anyhow::Result<()> {
        for policy in &self.policies {
            manifests::apply_object(&self.admin, "", policy).await?;
        }
        Ok(())
    }
}

/// Applies what both charts and that of the CRDs contain, but for the operators; returns the admission policies.
pub(crate) async fn install(
    admin: &Client,
    helm: &Path,
    charts: &Path,
) -> anyhow::Result<Vec<DynamicObject>> {
    manifests::apply_crds(admin, &charts.join("crds/files")).await?;
    offer_version(admin).await?;
    rbac::grant(admin, helm, charts).await?;
    let policies = policies(helm, charts)?;
    for policy in &policies {
        manifests::apply_object(admin, "", policy).await?;
    }
    Ok(policies)
}

/// The admission policies of the chart with the CRDs, with its default values.
fn policies(helm: &Path, charts: &Path) -> anyhow::Result<Vec<DynamicObject>> {
    let mut objects = rbac::render(helm, charts, "crds")?;
    objects.retain(|object| {
        let kind = object.types.as_ref().map(|types| types.kind.as_str());
        kind.is_some_and(|kind| kind.starts_with("ValidatingAdmissionPolicy"))
    });
    Ok(objects)
}

async fn cluster_issuer(admin: &Client) -> anyhow::Result<()> {
    let ns = TestNamespace::existing(admin, "cert-manager");
    ns.put_ca(CLUSTER_ISSUER, &TestCa::new(CLUSTER_ISSUER)?).await?;
    let spec = json!({"spec": {"ca": {"secretName": CLUSTER_ISSUER}}});
    let issuer = Manifest::of("cert-manager.io/v1", "ClusterIssuer", CLUSTER_ISSUER, spec);
    ns.put(&issuer).await?;
    Ok(())
}

/// A namespace with a PostgreSQL, one of its users, an issuer and a pool with TLS.
async fn neighbor(admin: &Client, marks: &Marks) -> anyhow::Result<TestNamespace> {
    let ns = TestNamespace::create(admin, "neighbor").await?;
    ns.put(&fixtures::credentials(ns.name(), &marks.secret("superuser")))
        .await?;
    // Without the consent of its owner that other tests need.
    ns.put(&fixtures::app_binding(ns.name()).without("/metadata/annotations"))
        .await?;
    let user = Manifest::secret(
        "billing",
        json!({"username": "billing", "password": marks.secret("user")}),
    );
    let labels = json!({
        "app.kubernetes.io/name": "postgreses.kubedb.com", "app.kubernetes.io/instance": "postgres",
    });
    ns.put(&user.with("/metadata/labels", labels)).await?;
    ns.apply(ISSUER).await?;
    // With nothing that needs a policy: it must be served without them too.
    ns.put(&fixtures::pgpool(ns.name())?.without("/spec/tls/certificates"))
        .await?;
    Ok(ns)
}

/// Adds the passwords and keys that were generated for the neighbor's pool.
async fn add_generated(neighbor: &TestNamespace, marks: &mut Marks) -> anyhow::Result<()> {
    for secret in neighbor.api::<Secret>().list(&ListParams::default()).await? {
        let name = secret.name_any();
        for (key, value) in secret.data.iter().flatten() {
            let text = String::from_utf8_lossy(&value.0);
            if key == "tls.key" {
                // The second line of PEM has key material only in its second half; the third is all key.
                let line = text.lines().nth(2).unwrap_or_default();
                marks.add(&format!("the neighbor's key in {name}"), line);
            } else if key == "password" && text.len() >= 12 && !text.contains(&marks.secret("")) {
                marks.add(&format!("the neighbor's password in {name}"), &text);
            }
        }
    }
    Ok(())
}

pub(crate) async fn start_operators(
    plane: &Arc<ControlPlane>,
    helm: &Path,
    installation: &Installation,
) -> anyhow::Result<Vec<Supervised>> {
    let folder = plane.logs().with_file_name("channel");
    Credentials::make()?.write(&folder)?;
    let channel = free_address()?.to_string();
    let mut operators = Vec::new();
    for name in NAMES {
        let program = installation.operators.get(name);
        let program = program.with_context(|| format!("there is no program {name}"))?;
        let account = rbac::service_account(name);
        let user = plane.user(name, &account, Some("system:serviceaccounts"))?;
        let (environment, memory) = settings(helm, &installation.charts, name)?;
        let plan = OperatorArgs::new(program, &user)
            .environment(environment)
            .with_lease(NAMESPACE, &format!("{name}-0"), 15)
            .with("lease-renew", "10s")
            .with("log-filter", &installation.log_filter)
            .with("channel-tls-dir", &folder.display().to_string());
        let plan = match name {
            "provisioner" => plan
                .with("peer-address", &format!("https://{channel}"))
                .with("peer-name", "localhost"),
            _ => plan.with("channel-address", &channel),
        };
        operators.push(Supervised::start(plane, name, plan, memory).await?);
    }
    Ok(operators)
}

/// The variables of an operator's container in its chart, and the memory that it may use, in bytes.
fn settings(helm: &Path, charts: &Path, name: &str) -> anyhow::Result<(Vec<(String, String)>, u64)> {
    let objects = rbac::render(helm, charts, name)?;
    let mut kinds = objects.into_iter().filter(|object| {
        let kind = object.types.as_ref().map(|types| types.kind.as_str());
        kind == Some("Deployment")
    });
    let deployment = kinds
        .next()
        .with_context(|| format!("the chart {name} has no Deployment"))?;
    let deployment: Deployment = serde_json::from_value(serde_json::to_value(deployment)?)?;
    let pod = deployment.spec.and_then(|spec| spec.template.spec);
    let container = pod.and_then(|pod| pod.containers.into_iter().next());
    let container = container.with_context(|| format!("the chart {name} has no container"))?;
    let variables = container.env.into_iter().flatten();
    let variables = variables.filter_map(|variable| Some((variable.name, variable.value?)));
    let limits = container.resources.and_then(|resources| resources.limits);
    let memory = limits.and_then(|limits| limits.get("memory").cloned());
    let memory = memory.with_context(|| format!("the chart {name} limits no memory"))?;
    Ok((variables.collect(), bytes(&memory.0)?))
}

fn bytes(quantity: &str) -> anyhow::Result<u64> {
    let units = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];
    let (number, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((quantity.strip_suffix(suffix)?, unit)))
        .unwrap_or((quantity, 1));
    Ok(number
        .parse::<u64>()
        .with_context(|| format!("the limit {quantity}"))?
        * unit)
}

/// The roles of the users in a namespace, by the name of the user.
pub(super) fn rights(user: User) -> Value {
    let all = json!(["get", "list", "watch", "create", "update", "patch", "delete"]);
    let read = json!(["get", "list", "watch"]);
    match user {
        User::PoolEditor => json!([
            {"apiGroups": ["kubedb.com"], "resources": ["pgpools"], "verbs": all},
            {"apiGroups": ["ops.kubedb.com"], "resources": ["pgpoolopsrequests"], "verbs": all},
            {"apiGroups": ["appcatalog.appscode.com"], "resources": ["appbindings"], "verbs": all},
        ]),
        User::Requester => json!([
            {"apiGroups": ["ops.kubedb.com"], "resources": ["pgpoolopsrequests"], "verbs": all},
            {"apiGroups": ["kubedb.com"], "resources": ["pgpools"], "verbs": read},
        ]),
        User::Developer => json!([
            {"apiGroups": ["", "apps", "batch", "policy"], "resources": ["*"], "verbs": all},
        ]),
        User::Owner => json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": all}]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_memory_are_read() {
        assert_eq!(bytes("128Mi").unwrap(), 128 * 1024 * 1024);
        assert_eq!(bytes("1000").unwrap(), 1000);
        assert!(bytes("1Q").is_err());
    }
}
