//! The cluster that a command works on: the local one, or one that the user names.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};

use crate::cluster::Cluster;
use crate::control_plane;
use crate::operators;
use crate::stage::Stage;

/// A cluster with nodes.
#[derive(Clone, Debug)]
pub enum Target {
    /// The local one.
    Local(Cluster),
    /// The user's own, by its kubeconfig.
    Existing(PathBuf),
}

impl Target {
    /// Makes a cluster ready to be used: brings the local one up with both operators, or makes sure that
    /// they run in the one of `kubeconfig`, where nothing is installed unasked.
    pub fn prepare(stage: &Stage, kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        let Some(kubeconfig) = kubeconfig else {
            return Ok(Self::Local(up(stage, true)?));
        };
        let target = Self::Existing(std::path::absolute(kubeconfig)?);
        target.run(async {
            let api: Api<Deployment> = Api::namespaced(target.client().await?, operators::NAMESPACE);
            for name in operators::NAMES {
                api.get(&operators::object(name)).await.with_context(|| {
                    format!(
                        "{name} is not installed in {}: see the README for Helm",
                        operators::NAMESPACE
                    )
                })?;
            }
            Ok(())
        })?;
        Ok(target)
    }

    /// The cluster of `kubeconfig`, or the local one, which must be up. Nothing is started.
    pub fn find(kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        match kubeconfig {
            Some(kubeconfig) => Ok(Self::Existing(std::path::absolute(kubeconfig)?)),
            None => Ok(Self::Local(Cluster::require()?)),
        }
    }

    /// The path of a kubectl.
    pub fn kubectl(&self, stage: &Stage) -> anyhow::Result<PathBuf> {
        match self {
            Self::Local(cluster) => Ok(cluster.program("kubectl")?.to_owned()),
            Self::Existing(_) => Ok(stage.kubernetes()?.path("kubectl")?.to_owned()),
        }
    }

    /// Runs a future where it reaches the cluster.
    pub fn run<T: Send>(&self, future: impl Future<Output = anyhow::Result<T>> + Send) -> anyhow::Result<T> {
        match self {
            Self::Local(cluster) => cluster.run(future),
            Self::Existing(_) => tokio::runtime::Runtime::new()?.block_on(future),
        }
    }

    /// A client with the rights of the kubeconfig. To be called, and used, inside [`Target::run`].
    pub async fn client(&self) -> anyhow::Result<Client> {
        control_plane::client(&self.kubeconfig()).await
    }

    /// The kubeconfig, for programs.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        match self {
            Self::Local(cluster) => cluster.kubeconfig(),
            Self::Existing(kubeconfig) => kubeconfig.clone(),
        }
    }

    /// A program of this machine, run where it reaches the cluster.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        match self {
            Self::Local(cluster) => cluster.command(program),
            Self::Existing(_) => Command::new(program),
        }
    }

    /// The audit log, where it can be read.
    #[must_use]
    pub fn audit_log(&self) -> Option<PathBuf> {
        match self {
            Self::Local(cluster) => Some(cluster.audit_log()),
            Self::Existing(_) => None,
        }
    }
}

/// Brings the local cluster up, with the operators or without.
pub fn up(stage: &Stage, with_operators: bool) -> anyhow::Result<Cluster> {
    let material = stage.cluster(with_operators)?;
    let cluster = Cluster::up(&material, stage.manners, &stage.progress)?;
    if with_operators {
        operators::install(&cluster, &material.operators, stage)?;
    }
    Ok(cluster)
}
