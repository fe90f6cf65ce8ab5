//! The two operators in the cluster: their programs, images and Helm releases.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use local_cluster::builder::Builder;
use local_cluster::cluster::Cluster;
use local_cluster::images::Image;
use local_cluster::packages::{Need, need};
use local_cluster::progress::Progress;
use local_cluster::{command, packages};
use serde_json::Value;

use crate::images;

/// The namespace of the operators.
pub(crate) const NAMESPACE: &str = "pgpool-system";

/// The names of their packages, programs, charts, releases and images.
pub(crate) const NAMES: [&str; 2] = ["ops-manager", "provisioner"];

/// The name of an operator's objects in the cluster: its Deployment, service account, Service and lease.
pub(crate) fn object(name: &str) -> String {
    format!("pgpool-{name}")
}

/// The name in the certificates of people who read the channel.
pub(crate) fn channel_reader() -> String {
    format!("reader.{NAMESPACE}.svc")
}

/// The chart with the CRDs, which must exist before either operator starts.
const CRDS: &str = "crds";

/// Compiles their dependencies that are written in C.
const TOOLCHAIN: &[Need] = &[need("cc", "gcc"), need("make", "make")];

/// Time for a Helm release to become ready.
const TIMEOUT: &str = "120s";

#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) name: &'static str,
    pub(crate) image: Image,
}

/// How the operators are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// As they are released.
    Release,
    /// Quickly, for development.
    Debug,
}

/// Compiles both operators and builds their images.
pub(crate) fn build(root: &Path, profile: Profile, builder: &Builder) -> anyhow::Result<Vec<Operator>> {
    let programs = compile(root, profile, builder)?;
    let image = |(name, program): (&'static str, PathBuf)| {
        Ok(Operator {
            name,
            image: images::operator(name, &program, &builder.cache)?,
        })
    };
    programs.into_iter().map(image).collect()
}

/// Compiles both operators and returns the paths of their programs by name.
pub(crate) fn compile(
    root: &Path,
    profile: Profile,
    builder: &Builder,
) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    packages::ensure(&[TOOLCHAIN], builder)?;
    builder.run("compile the operators", "cargo-build", &mut cargo(root, profile))?;
    // Run again, when there is nothing left to compile, cargo prints the paths in a format for programs.
    let messages = command::output(cargo(root, profile).arg("--message-format=json"))?;
    let mut programs: Vec<_> = messages
        .lines()
        .filter_map(|line| executable(&serde_json::from_str(line).ok()?))
        .collect();
    programs.sort();
    programs.dedup();
    if programs.len() != NAMES.len() {
        bail!("cargo built {programs:?} instead of {NAMES:?}");
    }
    Ok(programs)
}

fn cargo(root: &Path, profile: Profile) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["build", "--locked"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    for name in NAMES {
        cargo.args(["--package", name]);
    }
    cargo
}

/// Installs or upgrades the charts, and waits until the operators are ready.
pub(crate) fn install(
    cluster: &Cluster,
    operators: &[Operator],
    charts: &Path,
    progress: &Progress,
) -> anyhow::Result<()> {
    let step = progress.step("install the operators");
    let helm = Helm {
        cluster,
        program: cluster.program("helm")?,
    };
    helm.upgrade(CRDS, charts, None)?;
    // The operators do not depend on each other.
    std::thread::scope(|scope| {
        let installs: Vec<_> = operators
            .iter()
            .map(|operator| scope.spawn(|| helm.upgrade(operator.name, charts, Some(&operator.image))))
            .collect();
        installs.into_iter().try_for_each(|install| {
            install
                .join()
                .unwrap_or_else(|_| bail!("installing an operator panicked"))
        })
    })?;
    step.done();
    Ok(())
}

struct Helm<'a> {
    cluster: &'a Cluster,
    program: &'a Path,
}

impl Helm<'_> {
    fn upgrade(&self, name: &str, charts: &Path, image: Option<&Image>) -> anyhow::Result<()> {
        let mut helm = self.cluster.command(self.program);
        helm.arg("upgrade")
            .arg("--install")
            .arg(name)
            .arg(charts.join(name));
        helm.args([
            "--namespace",
            NAMESPACE,
            "--create-namespace",
            "--wait",
            "--timeout",
            TIMEOUT,
        ]);
        helm.arg("--kubeconfig").arg(self.cluster.kubeconfig());
        if let Some(image) = image {
            let (repository, tag) = image
                .names
                .first()
                .and_then(|name| name.rsplit_once(':'))
                .context("an image without a name")?;
            for (key, value) in [
                ("repository", repository),
                ("tag", tag),
                ("pullPolicy", "IfNotPresent"),
            ] {
                helm.arg("--set-string").arg(format!("image.{key}={value}"));
            }
        }
        if name == "ops-manager" {
            let clients = [
                format!("{}.{NAMESPACE}.svc", object("provisioner")),
                channel_reader(),
            ];
            helm.arg("--set")
                .arg(format!("channel.clients={{{}}}", clients.join(",")));
        }
        command::output(&mut helm).with_context(|| format!("installing the chart {name}"))?;
        Ok(())
    }
}

/// The name and path of an operator's program in a message of cargo.
fn executable(message: &Value) -> Option<(&'static str, PathBuf)> {
    let path = message["executable"].as_str()?;
    let name = message["target"]["name"].as_str()?;
    NAMES
        .into_iter()
        .find(|candidate| *candidate == name)
        .map(|name| (name, PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_messages_of_cargo() {
        let message = serde_json::json!({"executable": "/t/provisioner", "target": {"name": "provisioner"}});
        assert_eq!(
            executable(&message),
            Some(("provisioner", PathBuf::from("/t/provisioner")))
        );
        let library = serde_json::json!({"executable": null, "target": {"name": "provisioner"}});
        assert_eq!(executable(&library), None);
    }
}
