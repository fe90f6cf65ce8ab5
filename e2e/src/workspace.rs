//! The source tree that a command uses, and starting the cluster that runs what is built from it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use local_cluster::artifacts::{self, Artifacts};
use local_cluster::builder::Builder;
use local_cluster::cache::Cache;
use local_cluster::cluster::Cluster;
use local_cluster::cluster_lock::LockOptions;
use local_cluster::components::{self, Programs};
use local_cluster::progress::Progress;
use local_cluster::target::Target;

use crate::images;
use crate::operators::{self, Profile};

/// What the steps of one command share.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) builder: Builder,
    pub(crate) progress: Progress,
    /// The root of the source tree.
    pub(crate) root: PathBuf,
    /// How the operators in the cluster are compiled.
    pub(crate) profile: Profile,
    /// What happens when another command uses the cluster.
    pub(crate) lock: LockOptions,
}

impl Workspace {
    /// Uses the source tree that this program was built from.
    pub(crate) fn new(
        cache: Cache,
        progress: Progress,
        profile: Profile,
        lock: LockOptions,
    ) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the crate has no parent folder")?;
        if !root.join("Cargo.toml").exists() {
            bail!(
                "{} no longer exists: run this with `cargo e2e` in a source tree",
                root.display()
            );
        }
        Ok(Self {
            builder: Builder {
                cache,
                progress: progress.clone(),
            },
            progress,
            root: root.to_owned(),
            profile,
            lock,
        })
    }

    /// The programs of a [`local_cluster::control_plane::ControlPlane`].
    pub(crate) fn control_plane(&self) -> anyhow::Result<Programs> {
        artifacts::programs(components::CONTROL_PLANE, &self.builder)
    }

    /// The path of a kubectl for `target`.
    pub(crate) fn kubectl(&self, target: &Target) -> anyhow::Result<PathBuf> {
        match target {
            Target::Local(cluster) => Ok(cluster.program("kubectl")?.to_owned()),
            Target::Existing(_) => {
                let kubernetes = [&components::KUBERNETES_COMMANDS];
                let programs = artifacts::programs(&kubernetes, &self.builder)?;
                Ok(programs.path("kubectl")?.to_owned())
            }
        }
    }

    /// Starts the local cluster, or updates the running one, with or without the operators.
    pub(crate) fn up(&self, with_operators: bool) -> anyhow::Result<Cluster> {
        let databases = || images::databases(&self.builder);
        let mut artifacts = Artifacts::build(&self.builder, databases)?;
        artifacts.images.push(images::exporter(&self.builder)?);
        if !with_operators {
            return Cluster::up(&artifacts, self.lock, &self.progress);
        }
        let operators = operators::build(&self.root, self.profile, &self.builder)?;
        artifacts
            .images
            .extend(operators.iter().map(|operator| operator.image.clone()));
        let cluster = Cluster::up(&artifacts, self.lock, &self.progress)?;
        operators::install(&cluster, &operators, &self.root.join("charts"), &self.progress)?;
        Ok(cluster)
    }

    /// Makes a cluster ready to be used: starts the local one with both operators, or checks that they run in the one
    /// of `kubeconfig`, where nothing is installed.
    pub(crate) fn prepare(&self, kubeconfig: Option<&Path>) -> anyhow::Result<Target> {
        let Some(kubeconfig) = kubeconfig else {
            return Ok(Target::Local(self.up(true)?));
        };
        let target = Target::find(Some(kubeconfig))?;
        target.run(async {
            let api: Api<Deployment> = Api::namespaced(target.client().await?, operators::NAMESPACE);
            for name in operators::NAMES {
                api.get(&operators::object(name)).await.with_context(|| {
                    format!(
                        "{name} is not installed in {}: see the README for how to install it with Helm",
                        operators::NAMESPACE
                    )
                })?;
            }
            Ok(())
        })?;
        Ok(target)
    }

    /// The folder for reports, figures and diagnostics.
    pub(crate) fn results(&self) -> PathBuf {
        self.root.join("target/e2e")
    }

    /// Compiles both operators; see [`operators::compile`].
    pub(crate) fn compile_operators(&self, profile: Profile) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
        operators::compile(&self.root, profile, &self.builder)
    }

    /// The CRD of the Prometheus operator's `ServiceMonitor`.
    pub(crate) fn service_monitor_crd(&self) -> anyhow::Result<PathBuf> {
        let module = components::module(
            "github.com/prometheus-operator/prometheus-operator",
            "v0.85.0",
            &self.builder,
        )?;
        Ok(module.join("example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"))
    }
}
