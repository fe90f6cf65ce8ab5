//! The cluster that a command works on: the local one, or one that the user names.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube::Client;

use crate::cluster::Cluster;
use crate::control_plane;

/// A cluster with nodes.
#[derive(Clone, Debug)]
pub enum Target {
    /// The local one.
    Local(Cluster),
    /// The user's own, by its kubeconfig.
    Existing(PathBuf),
}

impl Target {
    /// The cluster of `kubeconfig`, or the local one, which must be up. Nothing is started.
    pub fn find(kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        match kubeconfig {
            Some(kubeconfig) => Ok(Self::Existing(std::path::absolute(kubeconfig)?)),
            None => Ok(Self::Local(Cluster::require()?)),
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
