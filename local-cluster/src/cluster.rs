//! The cluster with a node: one per machine, isolated, found again by later commands.
//!
//! All its files are in [`STATE`] and all its processes in the namespaces of [`crate::node::namespaces`]. So taking it
//! down means ending these namespaces, and removing the control groups of the pods and the folder.

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

/// The folder of the running cluster, the same for every user of the machine.
const STATE: &str = "/var/cache/pgpool-e2e";

/// What a later command must know about a running cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// The programs it was started from.
    version: String,
    namespaces: Namespaces,
    store: Store,
    daemons: BTreeMap<String, Recorded>,
    /// Programs that later commands run.
    programs: BTreeMap<String, PathBuf>,
}

/// The part of [`Record`] that `down` needs, whichever version of this program wrote it.
#[derive(Debug, Deserialize)]
struct Outline {
    namespaces: Namespaces,
    #[serde(default)]
    daemons: BTreeMap<String, Recorded>,
}

/// A running cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    record: Record,
    /// Absent where the cluster was only found.
    _lock: Option<ClusterLock>,
}

impl Cluster {
    /// The running cluster of this machine, if there is one.
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

    /// The running cluster; the error says how to start one.
    pub fn require() -> anyhow::Result<Self> {
        Self::find()?.context("no cluster is running: run `cargo e2e up`")
    }

    /// Returns a healthy cluster made from `artifacts`: the running one if it is such a cluster, otherwise a new one.
    /// The lock of the cluster is held until the value is dropped.
    pub fn up(artifacts: &Artifacts, options: LockOptions, progress: &Progress) -> anyhow::Result<Self> {
        let lock = Some(ClusterLock::acquire(options, progress)?);
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
            Err(error) => progress.line(format_args!("replacing the running cluster: {error:#}")),
        }
        take_down(|_| {})?;
        let step = progress.step("start the cluster");
        let started = start::start(artifacts, &step);
        if started.is_err() {
            // The logs stay until the next `up` or `down`.
            step.note(format!("logs are in {STATE}/logs"));
        }
        let cluster = started.with_context(|| format!("starting the cluster; see {STATE}/logs"))?;
        step.done();
        Ok(Self {
            _lock: lock,
            ..cluster
        })
    }

    /// Ends the cluster and removes everything it left, if there is one.
    pub fn down(options: LockOptions, progress: &Progress) -> anyhow::Result<()> {
        packages::ensure_root("taking the cluster down")?;
        let lock = ClusterLock::acquire(options, progress)?;
        let step = progress.step("take the cluster down");
        take_down(|what| step.note(what))?;
        lock.remove()?;
        step.done();
        Ok(())
    }

    /// The kubeconfig of a cluster administrator. Its server is reachable only in the network of the cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        state().join("pki/admin.kubeconfig")
    }

    /// See [`crate::audit`].
    pub fn audit_log(&self) -> PathBuf {
        state().join(arguments::AUDIT_LOG)
    }

    /// The path of `kubectl`, `helm` or `cert-manager`.
    pub fn program(&self, name: &str) -> anyhow::Result<&Path> {
        self.record
            .programs
            .get(name)
            .map(PathBuf::as_path)
            .with_context(|| format!("{name} is not a program of the cluster"))
    }

    /// A program of this machine that runs in the network of the cluster.
    pub fn command(&self, program: &Path) -> Command {
        self.record.namespaces.network_command(program)
    }

    /// The same, with names of Services resolved as in a pod.
    pub fn named_command(&self, program: &Path) -> Command {
        self.record
            .namespaces
            .named_command(program, &state().join("resolv.conf"))
    }

    /// Runs a future in the network of the cluster; see [`Namespaces::run`].
    pub fn run<T: Send>(&self, future: impl Future<Output = anyhow::Result<T>> + Send) -> anyhow::Result<T> {
        self.record.namespaces.run(future)
    }

    /// A client with the rights of a cluster administrator. Use it in the same call of [`Cluster::run`] only.
    async fn client(&self) -> anyhow::Result<Client> {
        client(&self.kubeconfig()).await
    }

    /// Ends the process of cert-manager; all objects stay.
    pub fn stop_cert_manager(&self) -> anyhow::Result<()> {
        // The recorded process is the `nsenter` around it, which ends with it.
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

    /// Fails if `up` would start the cluster differently, or if the cluster does not work.
    fn healthy(&self, artifacts: &Artifacts) -> anyhow::Result<()> {
        if self.record.version != start::version(&artifacts.programs) {
            bail!("it was started with other programs or settings");
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

/// Fails if anything of a cluster is left on this machine.
fn ensure_nothing_left() -> anyhow::Result<()> {
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

/// The daemon as recorded now: it may have been restarted since the [`Cluster`] was found.
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
