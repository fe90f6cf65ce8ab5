//! A control plane on loopback: etcd, kube-apiserver, kube-controller-manager, cert-manager.
//!
//! Needs neither root nor containers and starts in seconds, so that a test case may have its own, several at a time.
//! Pods stay Pending: there is no node. Everything is in one temporary folder and ends with the value. If this process
//! is killed, the next start ends what was left.

pub(crate) mod arguments;
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

/// How often another port is tried when another process took the chosen one in the meantime.
const ATTEMPTS: usize = 3;

/// Time for kube-apiserver to answer; a busy CI machine is slow.
const START: Duration = Duration::from_secs(90);

/// The state of cert-manager at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertManager {
    /// Neither its CRDs nor its process.
    Absent,
    /// Only its CRDs.
    Stopped,
    Running,
}

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
    /// Returns when kube-apiserver is ready.
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
            &arguments::controller_manager(&plane.pki, &manager),
        )?;
        if cert_manager != CertManager::Absent {
            plane.add_cert_manager_kinds().await?;
        }
        if cert_manager == CertManager::Running {
            plane.start_cert_manager().await?;
        }
        Ok(plane)
    }

    /// A client with the rights of a cluster administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig of that client.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// See [`crate::audit`].
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join(arguments::AUDIT_LOG)
    }

    /// The folder with the output of each process, `<name>.log`.
    pub fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// Writes a kubeconfig for `user` in `group`. The user of a service account is
    /// `system:serviceaccount:<namespace>:<name>`.
    pub fn user(&self, file: &str, user: &str, group: Option<&str>) -> anyhow::Result<PathBuf> {
        self.pki.kubeconfig(file, &self.server, user, group)
    }

    /// Applies the CRDs of cert-manager and waits until their kinds are served.
    pub async fn add_cert_manager_kinds(&self) -> anyhow::Result<()> {
        manifests::apply_crds(&self.client, self.programs.cert_manager_crds()?).await
    }

    /// Starts cert-manager unless it runs.
    pub async fn start_cert_manager(&self) -> anyhow::Result<()> {
        if self.children().contains_key("cert-manager") {
            return self.check("cert-manager");
        }
        // The namespace in which it expects the Secrets of ClusterIssuers.
        manifests::ensure_namespace(&self.client, "cert-manager").await?;
        let kubeconfig = self.user("cert-manager", "cert-manager", Some(MASTERS))?;
        self.run(
            "cert-manager",
            &["-kubeconfig".to_owned(), kubeconfig.display().to_string()],
        )
    }

    /// Ends the process of cert-manager; all objects stay.
    pub fn stop_cert_manager(&self) {
        self.children().remove("cert-manager");
    }

    /// Starts a program that ends with its value; if this process is killed, with the control plane.
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

/// A client for a kubeconfig. `KUBECONFIG` and `~/.kube` are ignored, so that nothing here ever reaches a cluster that was
/// not named.
pub async fn client(kubeconfig: &Path) -> anyhow::Result<Client> {
    crate::install_crypto();
    let config =
        Kubeconfig::read_from(kubeconfig).with_context(|| format!("reading {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

pub(crate) async fn ready(client: &Client) -> anyhow::Result<()> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    client.request_text(request).await.context("GET /readyz")?;
    Ok(())
}

/// A port that is free right now and that this function has not returned before: its users take some time to listen
/// there.
pub fn free_port(address: IpAddr) -> anyhow::Result<u16> {
    static RETURNED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut returned = RETURNED.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = TcpListener::bind((address, 0))?.local_addr()?.port();
        if returned.insert(port) {
            return Ok(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn no_port_is_returned_twice() {
        let ports = (0..1000).map(|_| free_port(Ipv4Addr::LOCALHOST.into()).unwrap());
        assert_eq!(ports.collect::<BTreeSet<_>>().len(), 1000);
    }
}
