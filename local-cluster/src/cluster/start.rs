//! Starts a cluster. Order matters only where one daemon fails without another; the others start together, since each
//! of them spends most of its start waiting.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client};

use super::{Cluster, Record, save, state};
use crate::artifacts::Artifacts;
use crate::cache::Inputs;
use crate::command;
use crate::components::Programs;
use crate::control_plane::arguments::{self, SERVICE_IP, Server, flags};
use crate::control_plane::{client, ready};
use crate::images::Image;
use crate::manifests;
use crate::node::namespaces::Namespaces;
use crate::node::store::Store;
use crate::node::{ADDRESS, CLUSTER_DOMAIN, NAME, cgroups, settings};
use crate::pki::{MASTERS, Pki};
use crate::process::Recorded;
use crate::progress::Step;
use crate::wait::{self, Hopeless};

pub(super) const CERT_MANAGER: &str = "cert-manager";

/// Time for any one daemon to start; a busy CI machine is slow.
const LIMIT: Duration = Duration::from_mins(2);

/// Starts the cluster. When it returns, the node is ready and DNS answers.
pub(super) fn start(artifacts: &Artifacts, step: &Step) -> anyhow::Result<Cluster> {
    fs::create_dir_all(state().join("logs")).with_context(|| format!("creating {}", state().display()))?;
    let pki = pki()?;
    cgroups::create()?;
    let store = Store::choose(state())?;
    let namespaces = Namespaces::create(state(), store)?;
    let mut starting = Starting {
        programs: &artifacts.programs,
        record: Record {
            version: version(&artifacts.programs),
            namespaces,
            store,
            daemons: BTreeMap::new(),
            programs: ["kubectl", "helm", CERT_MANAGER]
                .into_iter()
                .map(|name| Ok((name.to_owned(), artifacts.programs.path(name)?.to_owned())))
                .collect::<anyhow::Result<_>>()?,
        },
        pki,
    };
    // From here on `down` finds what runs, even if this process is killed.
    save(&starting.record)?;
    starting.start_control_plane(step)?;
    let namespaces = starting.record.namespaces.clone();
    // Unpacking images is bound by the disk, starting the API server by a core.
    let imported = std::thread::scope(|scope| {
        let import = scope.spawn(|| import(&artifacts.images, &namespaces, store));
        let started = namespaces.run(starting.start_rest(step));
        step.note("importing images");
        started.and(
            import
                .join()
                .unwrap_or_else(|_| bail!("importing images panicked")),
        )
    });
    imported?;
    step.note("waiting for the node");
    namespaces.run(wait_until_usable(&starting.record.daemons))?;
    Ok(Cluster {
        record: starting.record,
        _lock: None,
    })
}

struct Starting<'a> {
    programs: &'a Programs,
    record: Record,
    pki: Pki,
}

impl Starting<'_> {
    /// The daemons that need no other.
    fn start_control_plane(&mut self, step: &Step) -> anyhow::Result<()> {
        step.note("starting etcd, kube-apiserver and containerd");
        let server = server()?;
        self.daemon("etcd", &server.etcd())?;
        self.daemon("kube-apiserver", &server.apiserver(&self.pki)?)?;
        let settings = state().join("containerd.toml");
        fs::write(&settings, settings::containerd(state(), self.record.store))?;
        write_json("cni/10-pods.conflist", &settings::network(state()))?;
        let containerd = command::find("containerd").context("containerd is not installed")?;
        let arguments = ["-c".to_owned(), settings.display().to_string()];
        self.daemon_of("containerd", &containerd, &arguments)
    }

    /// The daemons that need the API server.
    async fn start_rest(&mut self, step: &Step) -> anyhow::Result<()> {
        let admin = self.kubeconfig("admin", "admin", Some(MASTERS))?;
        let client = client(&admin).await?;
        let daemons = self.record.daemons.clone();
        wait::until("kube-apiserver answers", LIMIT, || async {
            check(&daemons)?;
            ready(&client).await
        })
        .await?;
        step.note("starting the controllers and the node");
        let manager = self.kubeconfig("controller-manager", "system:kube-controller-manager", None)?;
        self.daemon(
            "kube-controller-manager",
            &arguments::controller_manager(&self.pki, &manager),
        )?;
        let scheduler = self.kubeconfig("scheduler", "system:kube-scheduler", None)?;
        self.daemon("kube-scheduler", &arguments::scheduler(&scheduler))?;
        self.node()?;
        manifests::apply_crds(&client, self.programs.cert_manager_crds()?).await?;
        // The namespace in which it expects the Secrets of ClusterIssuers.
        manifests::ensure_namespace(&client, CERT_MANAGER).await?;
        self.kubeconfig(CERT_MANAGER, CERT_MANAGER, Some(MASTERS))?;
        let daemon = cert_manager(&self.record.namespaces, self.programs.path(CERT_MANAGER)?)?;
        self.record.daemons.insert(CERT_MANAGER.to_owned(), daemon);
        save(&self.record)
    }

    fn node(&mut self) -> anyhow::Result<()> {
        let kubeconfig = self.kubeconfig("kubelet", &format!("system:node:{NAME}"), Some("system:nodes"))?;
        let settings = write_json(
            "kubelet.yaml",
            &settings::kubelet(state(), &self.pki.file("ca.crt"), ADDRESS),
        )?;
        self.daemon(
            "kubelet",
            &flags(&[
                ("config", &settings),
                ("kubeconfig", &kubeconfig.display().to_string()),
                ("hostname-override", NAME),
                ("node-ip", &ADDRESS.to_string()),
                ("root-dir", &state().join("kubelet").display().to_string()),
                ("cert-dir", &state().join("pki/kubelet").display().to_string()),
            ]),
        )?;
        let kubeconfig = self.kubeconfig("proxy", "system:kube-proxy", None)?;
        let settings = write_json("proxy.yaml", &settings::proxy(&kubeconfig))?;
        self.daemon("kube-proxy", &flags(&[("config", &settings)]))?;
        let kubeconfig = self.kubeconfig("coredns", "coredns", Some(MASTERS))?;
        fs::write(state().join("resolv.conf"), settings::resolver(ADDRESS))?;
        let settings = state().join("Corefile");
        fs::write(&settings, settings::dns(&kubeconfig, ADDRESS))?;
        self.daemon("coredns", &["-conf".to_owned(), settings.display().to_string()])
    }

    fn daemon(&mut self, name: &str, arguments: &[String]) -> anyhow::Result<()> {
        let program = self.programs.path(name)?.to_owned();
        self.daemon_of(name, &program, arguments)
    }

    fn daemon_of(&mut self, name: &str, program: &Path, arguments: &[String]) -> anyhow::Result<()> {
        let daemon = self.record.namespaces.daemon(name, program, arguments, state())?;
        self.record.daemons.insert(name.to_owned(), daemon);
        Ok(())
    }

    fn kubeconfig(&self, file: &str, user: &str, group: Option<&str>) -> anyhow::Result<PathBuf> {
        self.pki.kubeconfig(file, &server()?.url(), user, group)
    }
}

pub(super) fn cert_manager(namespaces: &Namespaces, program: &Path) -> anyhow::Result<Recorded> {
    let kubeconfig = state().join("pki").join(format!("{CERT_MANAGER}.kubeconfig"));
    let arguments = ["-kubeconfig".to_owned(), kubeconfig.display().to_string()];
    namespaces.daemon(CERT_MANAGER, program, &arguments, state())
}

/// Imports the images that are not in the cluster yet. Earlier builds of an image are removed first: they would fill the
/// store of a cluster that runs for a day.
pub(super) fn import(images: &[Image], namespaces: &Namespaces, store: Store) -> anyhow::Result<()> {
    let folder = state().join("imported");
    fs::create_dir_all(&folder)?;
    let ctr = command::find("ctr").context("ctr is not installed")?;
    let socket = state().join("containerd.sock");
    let run = |arguments: &[&OsStr]| {
        wait_for_socket(&socket)?;
        let mut command = namespaces.node_command(&ctr);
        command
            .env("CONTAINERD_SNAPSHOTTER", store.snapshotter())
            .arg("--address")
            .arg(&socket)
            .args(["--namespace", "k8s.io", "images"])
            .args(arguments);
        command::output(&mut command)
    };
    let once = |mark: &str, arguments: &[&OsStr]| {
        let mark = folder.join(mark);
        if mark.exists() {
            return Ok(());
        }
        run(arguments)?;
        fs::write(&mark, "").with_context(|| format!("writing {}", mark.display()))
    };
    for name in outdated(&run(&["list", "--quiet"].map(OsStr::new))?, images) {
        // The tag of such an image is its key and the name of its mark. Containers that still run from it continue.
        if let Some((_, tag)) = name.rsplit_once(':') {
            let _ = fs::remove_file(folder.join(tag));
        }
        // An image that cannot be removed only takes up space.
        let _ = run(&["remove", "--sync", name].map(OsStr::new));
    }
    for image in images {
        once(&image.key, &["import".as_ref(), image.archive.as_os_str()])?;
    }
    Ok(())
}

/// The names in `list` that differ from those of `images` in the tag alone.
fn outdated<'a>(list: &'a str, images: &[Image]) -> Vec<&'a str> {
    let repository = |name: &str| name.rsplit_once(':').map(|(repository, _)| repository.to_owned());
    let names = || images.iter().flat_map(|image| &image.names);
    list.lines()
        .filter(|listed| names().all(|name| name != listed))
        .filter(|listed| {
            let listed = repository(listed);
            listed.is_some() && names().any(|name| repository(name) == listed)
        })
        .collect()
}

pub fn node_ready(node: &Node) -> anyhow::Result<()> {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    match conditions.clone().find(|condition| condition.type_ == "Ready") {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => bail!(
            "the node is not ready: {}",
            condition.message.as_deref().unwrap_or_default()
        ),
        None => bail!("the node has not reported its status yet"),
    }
}

/// Changes when the node would be set up differently.
pub(super) fn version(programs: &Programs) -> String {
    let (state, kubeconfig) = (state(), Path::new(""));
    let inputs = Inputs::default()
        .text("programs", programs.version())
        .text("set up", &settings::set_up(state, ADDRESS, Store::Memory))
        .text("containerd", &settings::containerd(state, Store::Memory))
        .text("network", &settings::network(state).to_string())
        .text(
            "kubelet",
            &settings::kubelet(state, kubeconfig, ADDRESS).to_string(),
        )
        .text("proxy", &settings::proxy(kubeconfig).to_string())
        .text("dns", &settings::dns(kubeconfig, ADDRESS));
    inputs.key().to_string()
}

fn pki() -> anyhow::Result<Pki> {
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        &format!("kubernetes.default.svc.{CLUSTER_DOMAIN}"),
    ];
    let addresses = ["127.0.0.1".parse()?, SERVICE_IP, ADDRESS];
    Pki::create(&state().join("pki"), &names, &addresses)
}

fn server() -> anyhow::Result<Server> {
    Server::on_node(state(), ADDRESS)
}

/// Waits for what pods need: a ready node, a service account, DNS.
async fn wait_until_usable(daemons: &BTreeMap<String, Recorded>) -> anyhow::Result<()> {
    let client: Client = client(&state().join("pki/admin.kubeconfig")).await?;
    let nodes: Api<Node> = Api::all(client.clone());
    wait::until("the node is ready", LIMIT, || async {
        check(daemons)?;
        node_ready(&nodes.get(NAME).await?)
    })
    .await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "default");
    wait::object(&accounts, "default", LIMIT, "exists", |_| Ok(())).await?;
    wait::until("CoreDNS answers", LIMIT, || async {
        check(daemons)?;
        tokio::net::TcpStream::connect((ADDRESS, 53)).await?;
        Ok(())
    })
    .await
}

/// Fails with the end of its log if a daemon has ended.
fn check(daemons: &BTreeMap<String, Recorded>) -> anyhow::Result<()> {
    match daemons.iter().find(|(_, daemon)| !daemon.alive()) {
        None => Ok(()),
        Some((name, _)) => {
            bail!(Hopeless(format!(
                "{name} has ended:\n{}",
                command::tail(&state().join("logs").join(format!("{name}.log")))
            )))
        }
    }
}

fn wait_for_socket(socket: &Path) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    while let Err(error) = UnixStream::connect(socket) {
        if start.elapsed() > LIMIT {
            return Err(error).context("connecting to containerd");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn write_json(name: &str, value: &serde_json::Value) -> anyhow::Result<String> {
    let path = state().join(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // JSON is YAML too.
    fs::write(&path, value.to_string()).with_context(|| format!("writing {}", path.display()))?;
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_builds_of_an_image_are_outdated() {
        let image = |names: &[&str]| Image {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            archive: PathBuf::new(),
            key: String::new(),
        };
        let images = [
            image(&["docker.io/local/pgpool:1", "docker.io/local/postgres:15"]),
            image(&["docker.io/local/pgpool:2"]),
            image(&["docker.io/local/provisioner:new"]),
        ];
        let list = "docker.io/library/postgres:15\ndocker.io/local/pgpool:1\ndocker.io/local/pgpool:2\n\
                    docker.io/local/provisioner:new\ndocker.io/local/provisioner:old\nsha256:12\n";
        assert_eq!(outdated(list, &images), ["docker.io/local/provisioner:old"]);
        assert!(outdated(list, &images[..2]).is_empty());
    }
}
