//! A test case that needs a cluster, and what it gets.

pub(crate) mod shared_fixtures;

use std::borrow::Cow;
use std::sync::Arc;

use anyhow::bail;
use clap::ValueEnum;
use futures::future::BoxFuture;
use kube::Client;
use local_cluster::components::Programs;
use local_cluster::control_plane::ControlPlane;
use local_cluster::target::Target;

use crate::workspace::Workspace;
use shared_fixtures::SharedFixtures;

/// What a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Tier {
    /// Nothing: the tests of the crates.
    Unit,
    /// A control plane on loopback, without a node.
    Api,
    /// A cluster with a node.
    Cluster,
}

type Run = Box<dyn Fn(Context) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

pub(crate) struct Case {
    /// `area::what_is_true`.
    pub(crate) name: Cow<'static, str>,
    pub(crate) tier: Tier,
    /// Whether no other case may run at the same time, since this one stops something that all of them use.
    pub(crate) alone: bool,
    pub(crate) run: Run,
}

impl Case {
    /// A case for a control plane without a node.
    pub(crate) fn api<F>(
        name: impl Into<Cow<'static, str>>,
        run: impl Fn(Context) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self::of(Tier::Api, name.into(), run)
    }

    /// A case for a cluster with a node.
    pub(crate) fn cluster<F>(
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

    /// No other case runs at the same time.
    pub(crate) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }
}

/// What a case gets.
#[derive(Clone)]
pub(crate) struct Context {
    /// Has the rights of a cluster administrator.
    pub(crate) client: Client,
    /// The namespace of this case alone, created before it starts and removed after it.
    pub(crate) namespace: String,
    pub(crate) place: Place,
    pub(crate) workspace: Workspace,
    /// Shared by the cases of a run.
    pub(crate) shared: Arc<SharedFixtures>,
}

#[derive(Clone)]
pub(crate) enum Place {
    /// A control plane without a node, shared by all cases that do not start their own.
    Api(Arc<ControlPlane>, Programs),
    /// A cluster with a node, in which both operators run.
    Cluster(Target),
}

impl Context {
    /// The programs to start another control plane from, in the `api` tier.
    pub(crate) fn programs(&self) -> anyhow::Result<&Programs> {
        match &self.place {
            Place::Api(_, programs) => Ok(programs),
            Place::Cluster(_) => bail!("this case runs in a cluster with a node"),
        }
    }

    /// The cluster of the `cluster` tier.
    pub(crate) fn target(&self) -> anyhow::Result<&Target> {
        match &self.place {
            Place::Cluster(target) => Ok(target),
            Place::Api(..) => bail!("this case has no node"),
        }
    }
}
