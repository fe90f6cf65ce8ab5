//! A test case that needs a cluster, and what it is given.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use clap::ValueEnum;
use futures::future::BoxFuture;
use kube::Client;
use local_cluster::components::Programs;
use local_cluster::control_plane::ControlPlane;
use local_cluster::target::Target;

use crate::cases::Props;
use crate::workspace::Workspace;

/// What a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Tier {
    /// Nothing: the tests of the crates.
    Unit,
    /// kube-apiserver, etcd, kube-controller-manager and cert-manager on loopback.
    Api,
    /// A cluster with a node.
    Cluster,
}

/// What a case does.
type Run = Box<dyn Fn(Context) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// One test case.
pub struct Case {
    /// `area::what_is_true`.
    pub name: Cow<'static, str>,
    /// Where it runs.
    pub tier: Tier,
    /// Whether it disturbs others, by stopping what all of them use: no other case runs meanwhile.
    pub alone: bool,
    /// The case itself.
    pub run: Run,
}

impl Case {
    /// A case for the API side alone.
    pub fn api<F>(
        name: impl Into<Cow<'static, str>>,
        run: impl Fn(Context) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self::of(Tier::Api, name.into(), run)
    }

    /// A case for a cluster with a node.
    pub fn cluster<F>(
        name: impl Into<Cow<'static, str>>,
        run: impl Fn(Context) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self::of(Tier::Cluster, name.into(), run)
    }

    fn of<F>(tier: Tier, name: Cow<'static, str>, run: impl Fn(Context) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let run: Run = Box::new(move |context| Box::pin(run(context)));
        Self {
            name,
            tier,
            alone: false,
            run,
        }
    }

    /// The same case with nothing else running meanwhile.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { alone: true, ..self }
    }
}

/// What a case works with. Clones are the same case.
#[derive(Clone)]
pub struct Context {
    /// A client that may do everything.
    pub client: Client,
    /// A namespace for this case alone, there when it starts and removed after it.
    pub namespace: String,
    /// The cluster.
    pub place: Place,
    /// Cache, display and source tree.
    pub workspace: Workspace,
    /// What the cases of a run share.
    pub props: Arc<Props>,
}

/// The cluster of a case.
#[derive(Clone)]
pub enum Place {
    /// The API side alone, shared by all cases that do not start one of their own.
    Api(Arc<ControlPlane>, Programs),
    /// A cluster with a node, and both operators running in it.
    Cluster(Target),
}

impl Context {
    /// The kubeconfig of [`Context::client`], for programs.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        match &self.place {
            Place::Api(plane, _) => plane.kubeconfig().to_owned(),
            Place::Cluster(target) => target.kubeconfig(),
        }
    }

    /// The shared control plane of the `api` tier.
    pub fn control_plane(&self) -> anyhow::Result<&ControlPlane> {
        match &self.place {
            Place::Api(plane, _) => Ok(plane),
            Place::Cluster(_) => bail!("this case runs in a cluster with a node"),
        }
    }

    /// The programs that a control plane of one's own is started from, in the `api` tier.
    pub fn programs(&self) -> anyhow::Result<&Programs> {
        match &self.place {
            Place::Api(_, programs) => Ok(programs),
            Place::Cluster(_) => bail!("this case runs in a cluster with a node"),
        }
    }

    /// The cluster of the `cluster` tier.
    pub fn target(&self) -> anyhow::Result<&Target> {
        match &self.place {
            Place::Cluster(target) => Ok(target),
            Place::Api(..) => bail!("this case has no node"),
        }
    }
}
