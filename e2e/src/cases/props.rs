//! What several cases use together and nobody wants to start twice: control planes with the operators beside
//! them, a PostgreSQL. Each is made when the first case asks for it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use kube::Client;
use local_cluster::components::Programs;
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::manifests;
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tonic::transport::Channel;

use crate::case::{Context, Place};
use crate::scene::channel::Credentials;
use crate::scene::database::Database;
use crate::scene::operator::{Operator, Plan, explained, free_address};
use crate::scene::{Scene, channel, fixtures, offer_version, rights};
use crate::workspace::Workspace;

/// What the cases of one run share.
#[derive(Default)]
pub struct Props {
    // Operators go before the control planes that they are beside.
    served: OnceCell<Company>,
    still: OnceCell<Company>,
    quiet: OnceCell<Arc<ControlPlane>>,
    operators: BTreeMap<&'static str, PathBuf>,
    database: OnceCell<Database>,
    room: Room,
}

/// The room that a node of two processors has for pods of the default size, which ask for half of one each. Of more, some
/// would wait for a node until others are gone, and those who wait for them would not wait that long.
struct Room(Semaphore);

impl Default for Room {
    fn default() -> Self {
        const PODS: usize = 3;
        Self(Semaphore::new(PODS))
    }
}

/// Both operators beside a control plane, with a channel between them.
pub struct Company {
    operators: Mutex<[Operator; 2]>,
    credentials: Credentials,
    channel: SocketAddr,
    plane: Arc<ControlPlane>,
}

impl Props {
    /// Nothing yet, with the programs of the operators for those cases that run them.
    #[must_use]
    pub fn new(operators: Vec<(&'static str, PathBuf)>) -> Self {
        Self {
            operators: operators.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Waits until there is room for so many pods of the default size; it is taken as long as the value is held.
    pub async fn room(&self, pods: u32) -> anyhow::Result<SemaphorePermit<'_>> {
        Ok(self.room.0.acquire_many(pods).await?)
    }

    /// Removes what would outlive the run.
    pub async fn remove(&self) {
        if let Some(database) = self.database.get()
            && let Err(error) = database.scene().remove().await
        {
            tracing::warn!(%error, "a namespace is left");
        }
    }
}

impl Company {
    /// Starts both beside `plane`, with the rights that their charts give them.
    pub async fn start(context: &Context, plane: Arc<ControlPlane>) -> anyhow::Result<Self> {
        prepare(&plane, context.programs()?, &context.workspace).await?;
        let credentials = Credentials::make()?;
        let folder = plane.logs().with_file_name("channel");
        credentials.write(&folder)?;
        let folder = folder.display().to_string();
        let channel = free_address()?;
        let user = |name: &str| {
            plane.user(
                name,
                &rights::service_account(name),
                Some("system:serviceaccounts"),
            )
        };
        let ops_manager = Plan::new(&context.operator("ops-manager")?, &user("ops-manager")?)
            .with("channel-tls-dir", &folder)
            .with("channel-address", &channel.to_string());
        let provisioner = Plan::new(&context.operator("provisioner")?, &user("provisioner")?)
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
            channel,
            plane,
        })
    }

    /// A channel to ops-manager.
    pub fn channel(&self) -> anyhow::Result<Channel> {
        channel::local(&self.credentials, self.channel)
    }

    /// A channel to ops-manager for somebody whom another authority vouches for.
    pub fn forged_channel(&self) -> anyhow::Result<Channel> {
        let forged = Credentials {
            authority: self.credentials.authority.clone(),
            ..Credentials::make()?
        };
        channel::local(&forged, self.channel)
    }

    /// The control plane.
    #[must_use]
    pub fn plane(&self) -> &Arc<ControlPlane> {
        &self.plane
    }

    /// Fails when one of the two has ended.
    pub fn check(&self) -> anyhow::Result<()> {
        let mut operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        operators.iter_mut().try_for_each(Operator::check)
    }

    /// What they said last about something.
    #[must_use]
    pub fn said(&self, word: &str) -> String {
        let operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        operators
            .iter()
            .map(|operator| operator.said(word))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Context {
    /// The namespace of the case, in which only restricted pods may run.
    pub async fn scene(&self) -> anyhow::Result<Scene> {
        Scene::adopt(&self.client, &self.namespace).await
    }

    /// The program of an operator, compiled as quickly as possible.
    pub fn operator(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.props
            .operators
            .get(name)
            .cloned()
            .with_context(|| format!("{name} was not compiled"))
    }

    /// The operators beside the control plane of all cases.
    pub async fn served(&self) -> anyhow::Result<&Company> {
        let Place::Api(plane, _) = &self.place else {
            anyhow::bail!("here the operators are pods")
        };
        self.props
            .served
            .get_or_try_init(|| Company::start(self, Arc::clone(plane)))
            .await
    }

    /// The operators beside a control plane that has cert-manager's kinds, but no cert-manager.
    pub async fn still(&self) -> anyhow::Result<&Company> {
        let company = self.props.still.get_or_try_init(|| async {
            let plane = ControlPlane::start(self.programs()?, CertManager::Stopped).await?;
            Company::start(self, Arc::new(plane)).await
        });
        company.await
    }

    /// A control plane with cert-manager and without operators: each case starts its own, for its namespace.
    pub async fn quiet(&self) -> anyhow::Result<&Arc<ControlPlane>> {
        let plane = self.props.quiet.get_or_try_init(|| async {
            let plane = ControlPlane::start(self.programs()?, CertManager::Running).await?;
            prepare(&plane, self.programs()?, &self.workspace).await?;
            anyhow::Ok(Arc::new(plane))
        });
        plane.await
    }

    /// How an operator is started beside the quiet control plane for one namespace, without a channel.
    pub async fn plan(&self, operator: &str, scene: &Scene) -> anyhow::Result<Plan> {
        let plane = self.quiet().await?;
        Ok(Plan::new(&self.operator(operator)?, plane.kubeconfig()).within(scene.namespace()))
    }

    /// Starts an operator beside the quiet control plane.
    pub async fn start(&self, operator: &str, scene: &Scene, plan: Plan) -> anyhow::Result<Operator> {
        Operator::start(
            self.quiet().await?,
            &format!("{}-{operator}", scene.namespace()),
            plan,
        )
        .await
    }

    /// A namespace of the quiet control plane, with an `AppBinding`.
    pub async fn quiet_scene(&self, prefix: &str) -> anyhow::Result<Scene> {
        let scene = Scene::create(&self.quiet().await?.client(), prefix).await?;
        scene.backend().await?;
        Ok(scene)
    }

    /// The PostgreSQL of all cases that leave it alone.
    pub async fn database(&self) -> anyhow::Result<&Database> {
        self.props
            .database
            .get_or_try_init(|| Database::start(&self.client, "e2e-postgres"))
            .await
    }
}

/// Runs a case in its namespace of the shared control plane, with an `AppBinding` and the operators there.
pub async fn served<F>(context: Context, case: fn(Scene) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let company = context.served().await?;
    let scene = context.scene().await?;
    scene.backend().await?;
    watched(company, &scene, case(scene.clone())).await
}

/// Runs a case in a namespace of the control plane without cert-manager.
pub async fn still<F>(context: Context, case: fn(Scene) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let company = context.still().await?;
    let scene = Scene::create(&company.plane().client(), "still").await?;
    scene.backend().await?;
    watched(company, &scene, case(scene.clone())).await
}

/// Adds to a failure what the operators have to say about it.
pub async fn watched<T>(
    company: &Company,
    scene: &Scene,
    case: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let result = case.await;
    company.check()?;
    explained(result, || company.said(scene.namespace()))
}

impl Scene {
    /// Puts an `AppBinding` and its credentials here; the PostgreSQL behind it is nowhere.
    pub async fn backend(&self) -> anyhow::Result<()> {
        self.put(&fixtures::credentials(self.namespace(), "secret"))
            .await?;
        self.put(&fixtures::app_binding(self.namespace())).await?;
        Ok(())
    }
}

/// Gives a control plane our kinds, the catalogue, and the operators' rights.
pub async fn prepare(plane: &ControlPlane, programs: &Programs, workspace: &Workspace) -> anyhow::Result<()> {
    let (client, charts) = (plane.client(), workspace.root.join("charts"));
    manifests::apply_crds(&client, &charts.join("crds/files")).await?;
    offer_version(&client).await?;
    grant(&client, programs.path("helm")?, &charts).await
}

async fn grant(client: &Client, helm: &Path, charts: &Path) -> anyhow::Result<()> {
    rights::grant(client, helm, charts)
        .await
        .context("granting the operators their rights")
}
