//! The cluster with a node: one per machine, closed off, found again by later runs.
//!
//! Everything it has on disk is in [`STATE`]; everything that runs is in the namespaces of
//! [`crate::node::namespaces`]. So bringing it down is ending these, removing the control groups of the pods
//! and removing the folder.

mod start;

pub use start::node_ready;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Client};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::artifacts::Artifacts;
use crate::cache;
use crate::cluster_lock::{ClusterLock, LockOptions};
use crate::control_plane::{arguments, client, ready};
use crate::node::namespaces::Namespaces;
use crate::node::store::Store;
use crate::node::{self, cgroups};
use crate::packages;
use crate::process::Recorded;
use crate::progress::Progress;

/// The folder of the running cluster. The same for every user of the machine, as there is one cluster.
pub const STATE: &str = "/var/cache/pgpool-e2e";

/// What a later run must know of a running cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// The programs it was started from.
    version: String,
    namespaces: Namespaces,
    store: Store,
    daemons: BTreeMap<String, Recorded>,
    /// The programs that are run now and then.
    programs: BTreeMap<String, PathBuf>,
}

/// What taking a cluster down must know of it, whichever version of this program started it.
#[derive(Debug, Deserialize)]
struct Outline {
    namespaces: Namespaces,
    #[serde(default)]
    daemons: BTreeMap<String, Recorded>,
}

/// A cluster that is up.
#[derive(Clone, Debug)]
pub struct Cluster {
    record: Record,
    /// Where the cluster is ours, and not only found.
    _lock: Option<ClusterLock>,
}

impl Cluster {
    /// The running cluster of this machine, whoever started it.
    pub fn find() -> anyhow::Result<Option<Self>> {
        let path = record_path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let record: Record = serde_json::from_str(&text)
            .with_context(|| format!("reading {}: run `cargo e2e down`", path.display()))?;
        Ok(record.namespaces.alive().then_some(Self { record, _lock: None }))
    }

    /// The running cluster, or an error that says how to start one.
    pub fn require() -> anyhow::Result<Self> {
        Self::find()?.context("no cluster is up: run `cargo e2e up`")
    }

    /// Makes sure that a healthy cluster runs from `artifacts`: the one that does, else a new one. Nobody else
    /// works with it until the value is dropped.
    pub fn up(artifacts: &Artifacts, options: LockOptions, progress: &Progress) -> anyhow::Result<Self> {
        let lock = Some(ClusterLock::take(options, progress)?);
        let found = Self::find().and_then(|found| {
            let Some(cluster) = found else { return Ok(None) };
            cluster.healthy(artifacts)?;
            Ok(Some(cluster))
        });
        match found {
            Ok(Some(cluster)) => {
                cluster.import(artifacts)?;
                return Ok(Self {
                    _lock: lock,
                    ..cluster
                });
            }
            Ok(None) => {}
            Err(error) => progress.line(format_args!("the running cluster is replaced: {error:#}")),
        }
        take_down(|_| {})?;
        let step = progress.step("start the cluster");
        let started = start::start(artifacts, &step);
        if started.is_err() {
            // Its logs are all there is to learn from: they stay until the next `up` or `down`.
            step.note(format!("logs are in {STATE}/logs"));
        }
        let cluster = started.with_context(|| format!("the cluster does not start; see {STATE}/logs"))?;
        step.done();
        Ok(Self {
            _lock: lock,
            ..cluster
        })
    }

    /// Ends the cluster and removes all it left; fine when there is none.
    pub fn down(options: LockOptions, progress: &Progress) -> anyhow::Result<()> {
        packages::ensure_root("taking the cluster down")?;
        let lock = ClusterLock::take(options, progress)?;
        let step = progress.step("take the cluster down");
        take_down(|what| step.note(what))?;
        lock.remove()?;
        step.done();
        Ok(())
    }

    /// The kubeconfig of a user who may do everything. Its server is reachable inside the network only.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        state().join("pki/admin.kubeconfig")
    }

    /// Every request that kube-apiserver answered: see [`crate::audit`].
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        state().join(arguments::AUDIT_LOG)
    }

    /// Where the daemons write, `<name>.log` each.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        state().join("logs")
    }

    /// One of the programs that the cluster was started from, such as `kubectl`.
    pub fn program(&self, name: &str) -> anyhow::Result<&Path> {
        self.record
            .programs
            .get(name)
            .map(PathBuf::as_path)
            .with_context(|| format!("{name} is not known"))
    }

    /// A program of this machine, run in the cluster's network.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        self.record.namespaces.network_command(program)
    }

    /// The same, with the names of Services resolved as they are in a pod.
    #[must_use]
    pub fn named_command(&self, program: &Path) -> Command {
        self.record
            .namespaces
            .named_command(program, &state().join("resolv.conf"))
    }

    /// Runs a future in the cluster's network; see [`Namespaces::run`].
    pub fn run<T: Send>(&self, future: impl Future<Output = anyhow::Result<T>> + Send) -> anyhow::Result<T> {
        self.record.namespaces.run(future)
    }

    /// A client of the user who may do everything. To be called, and used, inside [`Cluster::run`].
    pub async fn client(&self) -> anyhow::Result<Client> {
        client(&self.kubeconfig()).await
    }

    /// Ends cert-manager's process; its kinds and what it made stay.
    pub fn stop_cert_manager(&self) -> anyhow::Result<()> {
        // The recorded process is the one around it and ends by itself.
        for daemon in daemon(start::CERT_MANAGER)?.children()? {
            daemon.signal(Signal::TERM)?;
        }
        daemon(start::CERT_MANAGER)?.wait_end(std::time::Duration::from_secs(10))
    }

    /// Starts cert-manager again after [`Cluster::stop_cert_manager`].
    pub fn start_cert_manager(&self) -> anyhow::Result<()> {
        if daemon(start::CERT_MANAGER)?.alive() {
            return Ok(());
        }
        let mut record = Self::require()?.record;
        let daemon = start::cert_manager(&record.namespaces, self.program(start::CERT_MANAGER)?)?;
        record.daemons.insert(start::CERT_MANAGER.to_owned(), daemon);
        save(&record)
    }

    /// Fails when the cluster is not what `up` would start, or does not work.
    fn healthy(&self, artifacts: &Artifacts) -> anyhow::Result<()> {
        if self.record.version != start::version(&artifacts.programs) {
            bail!("it was started from something else");
        }
        if let Some((name, _)) = self.record.daemons.iter().find(|(_, daemon)| !daemon.alive()) {
            bail!("{name} has ended");
        }
        let check = async {
            let client = self.client().await?;
            ready(&client).await?;
            let node = Api::<Node>::all(client).get(node::NAME).await?;
            node_ready(&node)
        };
        self.run(async { tokio::time::timeout(std::time::Duration::from_secs(10), check).await? })
    }

    fn import(&self, artifacts: &Artifacts) -> anyhow::Result<()> {
        start::import(&artifacts.images, &self.record.namespaces, self.record.store)
    }
}

/// Fails when anything of a cluster is left on this machine; for those who claim that nothing is.
pub fn ensure_nothing_left() -> anyhow::Result<()> {
    let groups = cgroups::left()?;
    if !groups.is_empty() {
        bail!("control groups are left: {groups:?}");
    }
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    if let Some(mount) = mounts.lines().find(|line| line.contains(STATE)) {
        bail!("a mount is left: {mount}");
    }
    if state().exists() {
        bail!("{STATE} is left");
    }
    Ok(())
}

fn take_down(note: impl Fn(&str)) -> anyhow::Result<()> {
    note("ending its processes");
    if let Ok(text) = fs::read_to_string(record_path()) {
        let outline: Outline = serde_json::from_str(&text).context("reading the record of the cluster")?;
        outline.namespaces.destroy()?;
        for daemon in outline.daemons.values() {
            daemon.wait_end(std::time::Duration::from_secs(10))?;
        }
    }
    note("removing its control groups");
    cgroups::remove()?;
    note("removing its files");
    cache::remove(state())?;
    ensure_nothing_left()
}

/// The daemon as recorded now, which may be another than when a [`Cluster`] was found.
fn daemon(name: &str) -> anyhow::Result<Recorded> {
    let current = Cluster::require()?;
    current
        .record
        .daemons
        .get(name)
        .copied()
        .with_context(|| format!("{name} was not started"))
}

fn save(record: &Record) -> anyhow::Result<()> {
    let draft = state().join("cluster.json.new");
    fs::write(&draft, serde_json::to_string_pretty(record)?)?;
    fs::rename(&draft, record_path()).context("recording the cluster")
}

fn state() -> &'static Path {
    Path::new(STATE)
}

fn record_path() -> PathBuf {
    state().join("cluster.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_another_version_can_be_taken_down() {
        let process = r#"{"pid": 1, "started": 2}"#;
        let text = format!(r#"{{"new": 1, "namespaces": {{"anchor": {process}, "first": {process}}}}}"#);
        let outline: Outline = serde_json::from_str(&text).unwrap();
        assert!(outline.daemons.is_empty());
        assert!(!outline.namespaces.alive());
    }
}
