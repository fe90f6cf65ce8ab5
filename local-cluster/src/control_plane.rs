//! The API side of a cluster on loopback: etcd, kube-apiserver, kube-controller-manager, cert-manager.
//!
//! Needs neither root nor containers and starts in seconds, so that test cases may have one of their own,
//! several side by side. Pods stay Pending here: nothing runs them. Everything is in one temporary folder
//! and ends with the value. Should the harness itself be killed, the next start finds what was left and
//! ends it.

pub mod arguments;
mod leftovers;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tempfile::TempDir;

use crate::components::Programs;
use crate::manifests;
use crate::pki::{MASTERS, Pki};
use crate::process::Child;
use crate::wait;
use arguments::Server;

/// How often another port is tried when somebody took the chosen one in the meantime.
const ATTEMPTS: usize = 3;

/// Time for kube-apiserver to answer; a build machine that does other things as well is slow.
const START: Duration = Duration::from_secs(90);

/// What of cert-manager is there from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertManager {
    /// Neither its kinds nor its process.
    Absent,
    /// Its kinds, but nobody acts on them.
    Stopped,
    /// All of it.
    Running,
}

/// A running control plane.
pub struct ControlPlane {
    // Fields are dropped in this order: first the processes, then their folder, then the claim on it.
    children: Mutex<BTreeMap<String, Child>>,
    folder: TempDir,
    _claim: File,
    pki: Pki,
    programs: Programs,
    server: String,
    kubeconfig: PathBuf,
    client: Client,
}

impl ControlPlane {
    /// Starts one. It answers, and has its default namespace, when this returns.
    pub async fn start(programs: &Programs, cert_manager: CertManager) -> anyhow::Result<Self> {
        leftovers::sweep(&std::env::temp_dir())?;
        let mut attempt = 1;
        loop {
            match Self::try_start(programs, cert_manager).await {
                Err(error)
                    if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") =>
                {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn try_start(programs: &Programs, cert_manager: CertManager) -> anyhow::Result<Self> {
        let (folder, claim) = leftovers::claim(&std::env::temp_dir())?;
        let logs = folder.path().join("logs");
        fs::create_dir_all(&logs)?;
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let pki = Pki::create(
            &folder.path().join("pki"),
            &["localhost", "kubernetes.default.svc"],
            &[loopback],
        )?;
        let server = Server::on_loopback(folder.path(), free_port(loopback)?)?;
        let kubeconfig = pki.kubeconfig("admin", &server.url(), "admin", Some(MASTERS))?;
        let plane = Self {
            children: Mutex::default(),
            _claim: claim,
            programs: programs.clone(),
            server: server.url(),
            client: client(&kubeconfig).await?,
            kubeconfig,
            folder,
            pki,
        };
        plane.run("etcd", &server.etcd())?;
        plane.run("kube-apiserver", &server.apiserver(&plane.pki)?)?;
        wait::until("kube-apiserver answers", START, || async {
            plane.check("etcd")?;
            plane.check("kube-apiserver")?;
            ready(&plane.client).await
        })
        .await?;
        let manager = plane.user("controller-manager", "system:kube-controller-manager", None)?;
        plane.run(
            "kube-controller-manager",
            &server.controller_manager(&plane.pki, &manager),
        )?;
        if cert_manager != CertManager::Absent {
            plane.add_cert_manager_kinds().await?;
        }
        if cert_manager == CertManager::Running {
            plane.start_cert_manager().await?;
        }
        Ok(plane)
    }

    /// A client that may do everything.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig of that client, for programs.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Every request that kube-apiserver answered: see [`crate::audit`].
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join(arguments::AUDIT_LOG)
    }

    /// Where processes of this control plane write their output, `<name>.log` each.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// Makes a kubeconfig for `user` in `group`, with the rights that RBAC gives them. The user of a service
    /// account is `system:serviceaccount:<namespace>:<name>`.
    pub fn user(&self, file: &str, user: &str, group: Option<&str>) -> anyhow::Result<PathBuf> {
        self.pki.kubeconfig(file, &self.server, user, group)
    }

    /// Adds cert-manager's kinds, when they are not there yet, and waits until they are served.
    pub async fn add_cert_manager_kinds(&self) -> anyhow::Result<()> {
        manifests::apply_crds(&self.client, self.programs.cert_manager_crds()?).await
    }

    /// Starts cert-manager; one that runs goes on.
    pub async fn start_cert_manager(&self) -> anyhow::Result<()> {
        if self.children().contains_key("cert-manager") {
            return self.check("cert-manager");
        }
        // Where it looks for the Secrets of ClusterIssuers.
        manifests::ensure_namespace(&self.client, "cert-manager").await?;
        let kubeconfig = self.user("cert-manager", "cert-manager", Some(MASTERS))?;
        self.run(
            "cert-manager",
            &["-kubeconfig".to_owned(), kubeconfig.display().to_string()],
        )
    }

    /// Ends cert-manager; what it made stays.
    pub fn stop_cert_manager(&self) {
        self.children().remove("cert-manager");
    }

    /// Starts a program whose life is that of this control plane at most.
    pub fn spawn(&self, name: &str, command: &mut Command) -> anyhow::Result<Child> {
        let child = Child::spawn(name, command, &self.logs())?;
        child
            .record()?
            .save(&self.folder.path().join("pids").join(name))?;
        Ok(child)
    }

    fn run(&self, name: &str, arguments: &[String]) -> anyhow::Result<()> {
        let child = self.spawn(name, Command::new(self.programs.path(name)?).args(arguments))?;
        self.children().insert(name.to_owned(), child);
        Ok(())
    }

    fn check(&self, name: &str) -> anyhow::Result<()> {
        self.children()
            .get_mut(name)
            .with_context(|| format!("{name} was not started"))?
            .check()
    }

    fn children(&self) -> MutexGuard<'_, BTreeMap<String, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client for a kubeconfig; `KUBECONFIG` and the like are not looked at, so that nothing here ever reaches
/// a cluster that was not named.
pub async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    crate::install_crypto();
    let config =
        Kubeconfig::read_from(kubeconfig).with_context(|| format!("reading {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// Fails while kube-apiserver is not ready.
pub async fn ready(client: &Client) -> anyhow::Result<()> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    client.request_text(request).await.context("GET /readyz")?;
    Ok(())
}

/// A port that nobody has just now, and that this process has promised to nobody else: whoever gets it takes some time to
/// listen there.
pub fn free_port(address: IpAddr) -> anyhow::Result<u16> {
    static PROMISED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut promised = PROMISED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = TcpListener::bind((address, 0))?.local_addr()?.port();
        if promised.insert(port) {
            return Ok(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn no_port_is_promised_twice() {
        let ports = (0..1000).map(|_| free_port(Ipv4Addr::LOCALHOST.into()).unwrap());
        assert_eq!(ports.collect::<BTreeSet<_>>().len(), 1000);
    }
}
