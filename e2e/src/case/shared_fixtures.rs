//! What several cases share because it is slow to start: control planes with the operators beside them, a PostgreSQL. Each
//! is created when the first case needs it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use kube::Client;
use local_cluster::command;
use local_cluster::components::Programs;
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::manifests;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tonic::transport::Channel;

use crate::case::{Context, Place};
use crate::namespace::channel::Credentials;
use crate::namespace::database::Database;
use crate::namespace::operator_process::{Operator, OperatorArgs, free_address, with_logs};
use crate::namespace::{TestNamespace, channel, fixtures, offer_version, rbac};
use crate::workspace::Workspace;

#[derive(Default)]
pub(crate) struct SharedFixtures {
    // Operators go before the control planes that they are beside.
    pair: OnceCell<OperatorPair>,
    pair_without_cert_manager: OnceCell<OperatorPair>,
    plane_without_operators: OnceCell<Arc<ControlPlane>>,
    operators: BTreeMap<&'static str, PathBuf>,
    database: OnceCell<Database>,
    room: Room,
}

/// The room that a node of two processors has for pods of the default size, which request half of one each. Of more, some
/// would wait for a node until others are gone, and those who wait for them would not wait that long.
struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        const PODS: usize = 3;
        Self(Semaphore::new(PODS))
    }
}

/// Both operators beside a control plane, with a channel between them.
pub(crate) struct OperatorPair {
    operators: Mutex<[Operator; 2]>,
    credentials: Credentials,
    /// Of the same CA, for a name that is not allowed.
    misnamed: Credentials,
    channel: SocketAddr,
    plane: Arc<ControlPlane>,
}

impl SharedFixtures {
    /// Nothing yet, with the programs of the operators for those cases that run them.
    pub(crate) fn new(operators: Vec<(&'static str, PathBuf)>) -> Self {
        Self {
            operators: operators.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Waits until there is room for so many pods of the default size; it is taken as long as the value is held.
    pub(crate) async fn room(&self, pods: u32) -> anyhow::Result<SemaphorePermit<'_>> {
        Ok(self.room.0.acquire_many(pods).await?)
    }

    pub(crate) async fn remove(&self) {
        if let Some(database) = self.database.get()
            && let Err(error) = database.namespace().remove().await
        {
            tracing::warn!(%error, "a namespace is left");
        }
    }
}

impl OperatorPair {
    /// Starts both beside `plane`, with the rights that their charts give them.
    pub(crate) async fn start(context: &Context, plane: Arc<ControlPlane>) -> anyhow::Result<Self> {
        prepare(&plane, context.programs()?, &context.workspace).await?;
        let (credentials, misnamed) = Credentials::make_with_another("pool.tenant.svc")?;
        let folder = plane.logs().with_file_name("channel");
        credentials.write(&folder)?;
        let folder = folder.display().to_string();
        let channel = free_address()?;
        let user =
            |name: &str| plane.user(name, &rbac::service_account(name), Some("system:serviceaccounts"));
        let ops_manager = OperatorArgs::new(&context.operator("ops-manager")?, &user("ops-manager")?)
            .with("channel-tls-dir", &folder)
            .with("channel-address", &channel.to_string());
        let provisioner = OperatorArgs::new(&context.operator("provisioner")?, &user("provisioner")?)
            .with("channel-tls-dir", &folder)
            .with("peer-address", &format!("https://{channel}"))
            .with("peer-name", "localhost");
        let mut operators = [
            Operator::launch(&plane, "ops-manager", ops_manager)?,
            Operator::launch(&plane, "provisioner", provisioner)?,
        ];
        for operator in &mut operators {
            operator.ready().await?;
        }
        Ok(Self {
            operators: Mutex::new(operators),
            credentials,
            misnamed,
            channel,
            plane,
        })
    }

    pub(crate) fn channel(&self) -> anyhow::Result<Channel> {
        channel::local(&self.credentials, self.channel)
    }

    /// A channel to ops-manager with a certificate of the same CA, for another name.
    pub(crate) fn misnamed_channel(&self) -> anyhow::Result<Channel> {
        channel::local(&self.misnamed, self.channel)
    }

    /// A channel to ops-manager with a certificate of another CA.
    pub(crate) fn forged_channel(&self) -> anyhow::Result<Channel> {
        let forged = Credentials {
            ca: self.credentials.ca.clone(),
            ..Credentials::make()?
        };
        channel::local(&forged, self.channel)
    }

    pub(crate) fn plane(&self) -> &Arc<ControlPlane> {
        &self.plane
    }

    /// Fails when one of the two has ended.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mut operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        operators.iter_mut().try_for_each(Operator::check)
    }

    pub(crate) fn log_lines(&self, word: &str) -> String {
        let operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        operators
            .iter()
            .map(|operator| operator.log_lines(word))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Context {
    /// The namespace of the case, in which only restricted pods may run.
    pub(crate) async fn test_namespace(&self) -> anyhow::Result<TestNamespace> {
        TestNamespace::adopt(&self.client, &self.namespace).await
    }

    /// The program of an operator, compiled as quickly as possible.
    pub(crate) fn operator(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.shared
            .operators
            .get(name)
            .cloned()
            .with_context(|| format!("{name} was not compiled"))
    }

    /// The operators beside the control plane of all cases.
    pub(crate) async fn operators(&self) -> anyhow::Result<&OperatorPair> {
        let Place::Api(plane, _) = &self.place else {
            anyhow::bail!("here the operators are pods")
        };
        self.shared
            .pair
            .get_or_try_init(|| OperatorPair::start(self, Arc::clone(plane)))
            .await
    }

    /// The operators beside a control plane that has cert-manager's kinds, but no cert-manager.
    pub(crate) async fn operators_without_cert_manager(&self) -> anyhow::Result<&OperatorPair> {
        let pair = self.shared.pair_without_cert_manager.get_or_try_init(|| async {
            let plane = ControlPlane::start(self.programs()?, CertManager::Stopped).await?;
            OperatorPair::start(self, Arc::new(plane)).await
        });
        pair.await
    }

    /// A control plane with cert-manager and without operators: each case starts its own, for its namespace.
    pub(crate) async fn plane_without_operators(&self) -> anyhow::Result<&Arc<ControlPlane>> {
        let plane = self.shared.plane_without_operators.get_or_try_init(|| async {
            let plane = ControlPlane::start(self.programs()?, CertManager::Running).await?;
            prepare(&plane, self.programs()?, &self.workspace).await?;
            anyhow::Ok(Arc::new(plane))
        });
        plane.await
    }

    /// How an operator is started beside the quiet control plane for one namespace, without a channel.
    pub(crate) async fn plan(&self, operator: &str, ns: &TestNamespace) -> anyhow::Result<OperatorArgs> {
        let plane = self.plane_without_operators().await?;
        Ok(OperatorArgs::new(&self.operator(operator)?, plane.kubeconfig()).within(ns.name()))
    }

    /// Starts an operator beside the quiet control plane.
    pub(crate) async fn start(
        &self,
        operator: &str,
        ns: &TestNamespace,
        plan: OperatorArgs,
    ) -> anyhow::Result<Operator> {
        Operator::start(
            self.plane_without_operators().await?,
            &format!("{}-{operator}", ns.name()),
            plan,
        )
        .await
    }

    /// A namespace of the quiet control plane, with an `AppBinding`.
    pub(crate) async fn namespace_without_operators(&self, prefix: &str) -> anyhow::Result<TestNamespace> {
        let ns = TestNamespace::create(&self.plane_without_operators().await?.client(), prefix).await?;
        ns.backend().await?;
        Ok(ns)
    }

    /// Runs kubectl in a namespace, and returns what it prints.
    pub(crate) async fn kubectl(&self, namespace: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let target = self.target()?.clone();
        let mut kubectl = target.command(&self.workspace.kubectl(&target)?);
        kubectl.arg("--kubeconfig").arg(target.kubeconfig());
        kubectl.args(["--namespace", namespace]).args(arguments);
        tokio::task::spawn_blocking(move || command::output(&mut kubectl)).await?
    }

    /// The PostgreSQL of all cases that leave it alone.
    pub(crate) async fn database(&self) -> anyhow::Result<&Database> {
        self.shared
            .database
            .get_or_try_init(|| Database::start(&self.client, "e2e-postgres"))
            .await
    }
}

/// Runs a case in its namespace of the shared control plane, with an `AppBinding` and the operators there.
pub(crate) async fn with_operators<F>(
    context: Context,
    case: impl FnOnce(TestNamespace) -> F + Send,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    ns.backend().await?;
    watched(pair, &ns, case(ns.clone())).await
}

/// Runs a case in a namespace of the control plane without cert-manager.
pub(crate) async fn without_cert_manager<F>(
    context: Context,
    case: impl FnOnce(TestNamespace) -> F + Send,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let pair = context.operators_without_cert_manager().await?;
    let ns = TestNamespace::create(&pair.plane().client(), "still").await?;
    ns.backend().await?;
    watched(pair, &ns, case(ns.clone())).await
}

/// Adds the logs of the operators to a failure.
pub(crate) async fn watched<T>(
    pair: &OperatorPair,
    ns: &TestNamespace,
    case: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let result = case.await;
    pair.check()?;
    with_logs(result, || pair.log_lines(ns.name()))
}

impl TestNamespace {
    /// Puts an `AppBinding` and its credentials here; the PostgreSQL behind it is nowhere.
    pub(crate) async fn backend(&self) -> anyhow::Result<()> {
        self.put(&fixtures::credentials(self.name(), "secret")).await?;
        self.put(&fixtures::app_binding(self.name())).await?;
        Ok(())
    }
}

/// Gives a control plane our kinds, the catalog, and the operators' rights.
pub(crate) async fn prepare(
    plane: &ControlPlane,
    programs: &Programs,
    workspace: &Workspace,
) -> anyhow::Result<()> {
    let (client, charts) = (plane.client(), workspace.root.join("charts"));
    manifests::apply_crds(&client, &charts.join("crds/files")).await?;
    manifests::apply_folder(&client, &charts.join("crds/policies")).await?;
    offer_version(&client).await?;
    grant(&client, programs.path("helm")?, &charts).await
}

async fn grant(client: &Client, helm: &Path, charts: &Path) -> anyhow::Result<()> {
    rbac::grant(client, helm, charts)
        .await
        .context("granting the operators their rights")
}
