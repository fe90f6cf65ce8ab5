//! Sets the stage: everything that must exist on the machine before a cluster starts, made in the right
//! order and only where it is missing. All of it happens outside the cluster, whose network has no way out.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::cache::Cache;
use crate::components::{self, Programs};
use crate::go::Go;
use crate::hold::Manners;
use crate::images::{self, Image};
use crate::operators::{self, Profile};
use crate::packages;
use crate::progress::Progress;

/// What the steps of one command share.
#[derive(Clone)]
pub struct Stage {
    /// The user's cache.
    pub cache: Cache,
    /// The display.
    pub progress: Progress,
    /// The root of the source tree.
    pub workspace: PathBuf,
    /// How the operators in the cluster are compiled.
    pub profile: Profile,
    /// What happens when another command works with the cluster.
    pub manners: Manners,
}

/// Everything that a cluster with a node is started from.
#[derive(Clone, Debug)]
pub struct Material {
    /// The programs of the cluster.
    pub programs: Programs,
    /// The images that pods may use.
    pub images: Vec<Image>,
    /// The images of the operators, when they are wanted.
    pub operators: Vec<operators::Operator>,
}

impl Stage {
    /// A stage on the source tree that this program was built from.
    pub fn new(cache: Cache, progress: Progress, profile: Profile, manners: Manners) -> anyhow::Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the crate has no parent folder")?;
        if !workspace.join("Cargo.toml").exists() {
            bail!(
                "{} is gone: run this through `cargo e2e` in the source tree",
                workspace.display()
            );
        }
        Ok(Self {
            cache,
            progress,
            workspace: workspace.to_owned(),
            profile,
            manners,
        })
    }

    /// The programs of a [`crate::control_plane::ControlPlane`].
    pub fn control_plane(&self) -> anyhow::Result<Programs> {
        self.build(components::CONTROL_PLANE)
    }

    /// The commands of Kubernetes alone.
    pub fn kubernetes(&self) -> anyhow::Result<Programs> {
        self.build(&[&components::KUBERNETES_COMMANDS])
    }

    /// Everything for a [`crate::cluster::Cluster`], with or without the operators.
    pub fn cluster(&self, with_operators: bool) -> anyhow::Result<Material> {
        packages::ensure_root("the cluster")?;
        packages::ensure(&[packages::NODE, packages::IMAGES], &self.cache, &self.progress)?;
        // The root file systems wait for downloads and one core at most, the builds want all of them: together they
        // take hardly longer than the builds alone.
        let (programs, images) = std::thread::scope(|scope| {
            let newer = scope.spawn(|| images::newer(&self.cache, &self.progress));
            let images = scope.spawn(|| {
                anyhow::Ok(vec![
                    images::pause(&self.cache)?,
                    images::database(&self.cache, &self.progress)?,
                    newer
                        .join()
                        .unwrap_or_else(|_| bail!("making an image panicked"))?,
                ])
            });
            let programs = self.build(components::NODE);
            let images = images
                .join()
                .unwrap_or_else(|_| bail!("making the images panicked"));
            (programs, images)
        });
        let (programs, mut images) = (programs?, images?);
        let exporter = self.build(&[&components::EXPORTER])?;
        images.push(images::exporter(exporter.path("pgpool2_exporter")?, &self.cache)?);
        let operators = if with_operators {
            operators::build(self)?
        } else {
            Vec::new()
        };
        Ok(Material {
            programs,
            images,
            operators,
        })
    }

    /// The folder for what a run leaves to look at.
    #[must_use]
    pub fn results(&self) -> PathBuf {
        self.workspace.join("target/e2e")
    }

    /// The resource definition of the Prometheus operator's `ServiceMonitor`.
    pub fn service_monitor_crd(&self) -> anyhow::Result<PathBuf> {
        let go = Go::ensure(&self.cache, &self.progress)?;
        let module = components::module(
            &go,
            &self.cache,
            "github.com/prometheus-operator/prometheus-operator",
            "v0.85.0",
        )?;
        Ok(module.join("example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"))
    }

    fn build(&self, components: &[&components::Component]) -> anyhow::Result<Programs> {
        let sources = self.workspace.join("e2e/components");
        // Asking a toolchain for its version takes longer than the rest when all is built, yet the version
        // is part of what the programs depend on.
        let go = Go::ensure(&self.cache, &self.progress)?;
        components::build(components, &sources, &go, &self.cache, &self.progress)
    }
}

/// Chooses the cryptography of TLS connections. A second call is without effect.
pub fn install_crypto() {
    // The error only says that it was done before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
