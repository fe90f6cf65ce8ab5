//! The command lines of the control plane's processes, on loopback and in a cluster with a node.
//!
//! Pure, except that it writes the audit policy, which kube-apiserver reads from a file.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::pki::Pki;

/// The range of the addresses of Services.
pub(crate) const SERVICE_CIDR: &str = "10.96.0.0/16";

/// The address of the Service `kubernetes`: the first one of [`SERVICE_CIDR`].
pub(crate) const SERVICE_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1));

/// The path of the audit log in the folder of the cluster.
pub(crate) const AUDIT_LOG: &str = "logs/audit.log";

/// One line for each response. No bodies, since the log is for counting.
const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

/// Where the processes of one control plane keep their files and reach each other.
pub(crate) struct Server {
    folder: PathBuf,
    etcd: String,
    address: IpAddr,
    port: u16,
    /// The address at which nodes and pods reach kube-apiserver; absent where there is no node.
    node: Option<IpAddr>,
}

impl Server {
    /// Listens on loopback. etcd uses a socket file, so that only one port is needed.
    pub(crate) fn on_loopback(folder: &Path, port: u16) -> anyhow::Result<Self> {
        let etcd = format!("unix://{}", folder.join("etcd.sock").display());
        Self::new(folder, etcd, IpAddr::V4(Ipv4Addr::LOCALHOST), port, None)
    }

    /// Listens on all addresses. The ports are fixed, since the node has a network of its own.
    pub(crate) fn on_node(folder: &Path, address: IpAddr) -> anyhow::Result<Self> {
        let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self::new(
            folder,
            "http://127.0.0.1:2379".to_owned(),
            unspecified,
            6443,
            Some(address),
        )
    }

    fn new(
        folder: &Path,
        etcd: String,
        address: IpAddr,
        port: u16,
        node: Option<IpAddr>,
    ) -> anyhow::Result<Self> {
        for name in ["logs", "pids"] {
            let path = folder.join(name);
            fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            etcd,
            address,
            port,
            node,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Nothing outlives the cluster, so etcd need not wait for the disk.
    pub(crate) fn etcd(&self) -> Vec<String> {
        flags(&[
            ("name", "local"),
            ("data-dir", &self.path("data/etcd")),
            ("listen-client-urls", &self.etcd),
            // Nothing reads it, but etcd requires a host and a port.
            ("advertise-client-urls", "http://127.0.0.1:2379"),
            // It has no peers, so any free port will do.
            ("listen-peer-urls", "http://127.0.0.1:0"),
            ("unsafe-no-fsync", "true"),
            ("log-level", "warn"),
        ])
    }

    pub(crate) fn apiserver(&self, pki: &Pki) -> anyhow::Result<Vec<String>> {
        let policy = self.folder.join("audit-policy.yaml");
        fs::write(&policy, AUDIT_POLICY).with_context(|| format!("writing {}", policy.display()))?;
        let file = |name: &str| pki.file(name).display().to_string();
        let address = self.address.to_string();
        // kube-apiserver writes its address into the endpoints of the Service `kubernetes` and rejects a loopback
        // address there. Without a node nothing reads them, so none are written.
        let (advertised, reconciler) = match self.node {
            Some(node) => (node.to_string(), "lease"),
            None => (address.clone(), "none"),
        };
        Ok(flags(&[
            ("etcd-servers", &self.etcd),
            ("bind-address", &address),
            ("secure-port", &self.port.to_string()),
            ("advertise-address", &advertised),
            ("endpoint-reconciler-type", reconciler),
            ("cert-dir", &self.path("pki")),
            ("tls-cert-file", &file("apiserver.crt")),
            ("tls-private-key-file", &file("apiserver.key")),
            ("client-ca-file", &file("ca.crt")),
            (
                "service-account-issuer",
                "https://kubernetes.default.svc.cluster.local",
            ),
            ("service-account-key-file", &file("service-accounts.pub")),
            ("service-account-signing-key-file", &file("service-accounts.key")),
            ("service-cluster-ip-range", SERVICE_CIDR),
            ("authorization-mode", "Node,RBAC"),
            ("enable-admission-plugins", "NodeRestriction"),
            ("allow-privileged", "true"),
            ("kubelet-client-certificate", &file("kubelet-client.crt")),
            ("kubelet-client-key", &file("kubelet-client.key")),
            // DNS has no names of nodes: logs and exec must use the address.
            ("kubelet-preferred-address-types", "InternalIP"),
            ("audit-policy-file", &policy.display().to_string()),
            ("audit-log-path", &self.path(AUDIT_LOG)),
            ("audit-log-mode", "blocking"),
        ]))
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

pub(crate) fn controller_manager(pki: &Pki, kubeconfig: &Path) -> Vec<String> {
    flags(&[
        ("kubeconfig", &kubeconfig.display().to_string()),
        (
            "service-account-private-key-file",
            &pki.file("service-accounts.key").display().to_string(),
        ),
        ("root-ca-file", &pki.file("ca.crt").display().to_string()),
        ("use-service-account-credentials", "true"),
        ("leader-elect", "false"),
        // It serves nothing: several run on one machine.
        ("secure-port", "0"),
    ])
}

pub(crate) fn scheduler(kubeconfig: &Path) -> Vec<String> {
    flags(&[
        ("kubeconfig", &kubeconfig.display().to_string()),
        ("leader-elect", "false"),
        ("secure-port", "0"),
    ])
}

/// `--name=value` for each pair.
pub(crate) fn flags(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs
        .iter()
        .map(|(name, value)| format!("--{name}={value}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_server_publishes_no_address() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(&folder.path().join("pki"), &[], &[]).unwrap();
        let server = Server::on_loopback(folder.path(), 4321).unwrap();
        let arguments = server.apiserver(&pki).unwrap();
        assert!(arguments.contains(&"--bind-address=127.0.0.1".to_owned()));
        assert!(arguments.contains(&"--endpoint-reconciler-type=none".to_owned()));
        assert_eq!(server.url(), "https://127.0.0.1:4321");
    }

    #[test]
    fn a_node_reaches_its_server() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::create(&folder.path().join("pki"), &[], &[]).unwrap();
        let server = Server::on_node(folder.path(), "172.30.0.1".parse().unwrap()).unwrap();
        let arguments = server.apiserver(&pki).unwrap();
        assert!(arguments.contains(&"--advertise-address=172.30.0.1".to_owned()));
        assert!(arguments.contains(&"--kubelet-preferred-address-types=InternalIP".to_owned()));
    }
}
