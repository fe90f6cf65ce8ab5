//! What must exist on the machine before a cluster starts. It is built outside the cluster, whose network has no uplink.

use std::path::Path;

use anyhow::bail;

use crate::builder::Builder;
use crate::components::{self, Component, Programs};
use crate::images::{self, Image};
use crate::packages;

/// What a cluster with a node is started from.
#[derive(Clone, Debug)]
pub struct Artifacts {
    pub programs: Programs,
    /// The images that pods may use.
    pub images: Vec<Image>,
}

impl Artifacts {
    /// Builds the programs, while `images` builds the images of pods.
    pub fn build(
        builder: &Builder,
        images: impl FnOnce() -> anyhow::Result<Vec<Image>> + Send,
    ) -> anyhow::Result<Self> {
        packages::ensure_root("the cluster")?;
        packages::ensure(&[packages::NODE, packages::IMAGES], builder)?;
        // Images mostly wait for downloads, programs use every core: together they take hardly longer than the programs.
        let (programs, images) = std::thread::scope(|scope| {
            let images = scope.spawn(images);
            let programs = programs(components::NODE, builder);
            let images = images
                .join()
                .unwrap_or_else(|_| bail!("building the images panicked"));
            (programs, images)
        });
        let (programs, mut images) = (programs?, images?);
        images.push(images::pause(&builder.cache)?);
        Ok(Self { programs, images })
    }
}

/// Builds programs of the cluster.
pub fn programs(components: &[&Component], builder: &Builder) -> anyhow::Result<Programs> {
    components::build(components, Path::new(components::SOURCES), builder)
}
