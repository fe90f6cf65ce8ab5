//! The cluster that a command uses: the local one, or one that the user names.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;

use kube::Client;

use crate::cluster::Cluster;
use crate::control_plane;

#[derive(Clone, Debug)]
pub enum Target {
    Local(Cluster),
    /// The user's own; this is its kubeconfig.
    Existing(PathBuf),
}

impl Target {
    /// The cluster of `kubeconfig`, or the local one, which must be running.
    pub fn find(kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        match kubeconfig {
            Some(kubeconfig) => Ok(Self::Existing(std::path::absolute(kubeconfig)?)),
            None => Ok(Self::Local(Cluster::require()?)),
        }
    }

    /// Runs a future in a network from which the cluster can be reached.
    pub fn run<T: Send>(&self, future: impl Future<Output = anyhow::Result<T>> + Send) -> anyhow::Result<T> {
        match self {
            Self::Local(cluster) => cluster.run(future),
            Self::Existing(_) => tokio::runtime::Runtime::new()?.block_on(future),
        }
    }

    /// A client with the rights of the kubeconfig. Use it only within the [`Target::run`] call that created it.
    pub async fn client(&self) -> anyhow::Result<Client> {
        control_plane::client(&self.kubeconfig()).await
    }

    pub fn kubeconfig(&self) -> PathBuf {
        match self {
            Self::Local(cluster) => cluster.kubeconfig(),
            Self::Existing(kubeconfig) => kubeconfig.clone(),
        }
    }

    /// A program of this machine, run in a network from which the cluster can be reached.
    pub fn command(&self, program: &Path) -> Command {
        match self {
            Self::Local(cluster) => cluster.command(program),
            Self::Existing(_) => Command::new(program),
        }
    }

    /// See [`crate::audit`]; absent where it cannot be read.
    pub fn audit_log(&self) -> Option<PathBuf> {
        match self {
            Self::Local(cluster) => Some(cluster.audit_log()),
            Self::Existing(_) => None,
        }
    }
}
