//! The configuration of the node's daemons. Pure: text from a folder and an address.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::store::Store;
use super::{CLUSTER_DOMAIN, NAME, POD_CIDR, cgroups};

pub(crate) const PAUSE: &str = "docker.io/local/pause:1";

/// The part of the folder of the cluster that may be in memory.
pub(crate) const DATA: &str = "data";

/// The shell script that sets up the namespaces.
///
/// Folders that daemons cannot be configured to move (`/run`, `/var/log`, `/var/lib`) are covered by mounts that end with
/// the namespaces. `/var/lib` gets little data, and an overlay can be on tmpfs even where the disk itself is an overlay, as
/// in a container. A bridge without ports has the node's address, since not every kernel has a dummy device; it is also the
/// default route, without which some daemons find no address of their own.
pub(crate) fn set_up(state: &Path, address: IpAddr, store: Store) -> String {
    let (fs, log) = (state.join("fs"), state.join("pod-logs"));
    let (fs, log, data) = (fs.display(), log.display(), state.join(DATA));
    let memory = match store {
        Store::Memory => format!("mount -t tmpfs -o mode=0755,size=4g tmpfs {}\n", data.display()),
        Store::Disk | Store::Overlay => String::new(),
    };
    memory
        + &format!(
            "mount -t tmpfs -o mode=0755 tmpfs {fs}\n\
         mkdir {fs}/lib {fs}/lib-work\n\
         mount -t overlay -o lowerdir=/var/lib,upperdir={fs}/lib,workdir={fs}/lib-work overlay /var/lib\n\
         mount --bind {log} /var/log\n\
         mount -t tmpfs -o mode=0755 tmpfs /run\n\
         ip link set lo up\n\
         ip link add node0 type bridge\n\
         ip address add {address}/24 dev node0\n\
         ip link set node0 up\n\
         ip route add default via {address} dev node0\n\
         echo 1 > /proc/sys/net/ipv4/ip_forward\n"
        )
}

/// `restrict_oom_score_adj`: where lowering the score of a process is not permitted, no container would start, with a
/// misleading error.
pub(crate) fn containerd(state: &Path, store: Store) -> String {
    let (state, data, snapshotter) = (state.display(), state.join(DATA), store.snapshotter());
    let data = data.display();
    let criterion = "plugins.\"io.containerd.grpc.v1.cri\"";
    format!(
        "version = 2\n\
         root = \"{data}/containerd/root\"\n\
         state = \"{data}/containerd/state\"\n\
         disabled_plugins = [\"io.containerd.internal.v1.opt\"]\n\
         [grpc]\n\
         address = \"{state}/containerd.sock\"\n\
         [{criterion}]\n\
         sandbox_image = \"{PAUSE}\"\n\
         restrict_oom_score_adj = true\n\
         netns_mounts_under_state_dir = true\n\
         [{criterion}.cni]\n\
         bin_dir = \"/usr/lib/cni\"\n\
         conf_dir = \"{state}/cni\"\n\
         [{criterion}.containerd]\n\
         snapshotter = \"{snapshotter}\"\n\
         default_runtime_name = \"runc\"\n\
         [{criterion}.containerd.runtimes.runc]\n\
         runtime_type = \"io.containerd.runc.v2\"\n"
    )
}

/// The network of pods: each has its own link to the node, so that all traffic, also between two pods, passes the node's
/// iptables rules without a kernel module for bridges.
pub(crate) fn network(state: &Path) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": state.join("addresses"),
                "ranges": [[{"subnet": POD_CIDR}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

pub(crate) fn kubelet(state: &Path, client_ca: &Path, address: IpAddr) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": client_ca},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", cgroups::ROOT),
        "clusterDNS": [address],
        "clusterDomain": CLUSTER_DOMAIN,
        "containerRuntimeEndpoint": format!("unix://{}", state.join("containerd.sock").display()),
        "failSwapOn": false,
        // Lowering its own score needs a capability that a container may lack.
        "oomScoreAdj": 0,
        // The disk is the user's and may be nearly full. Images cannot be pulled again.
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "/dev/null",
        // How soon a changed Secret reaches the pods that mount it.
        "syncFrequency": "10s",
        "volumePluginDir": state.join("kubelet/volume-plugins"),
        "registerWithTaints": [],
    })
}

/// With every limit at 0, kube-proxy does not change the settings of the machine's kernel.
pub(crate) fn proxy(kubeconfig: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": kubeconfig},
        "hostnameOverride": NAME,
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

/// A short TTL, since tests change Services often.
pub(crate) fn dns(kubeconfig: &Path, address: IpAddr) -> String {
    format!(
        ".:53 {{\n    bind {address}\n    errors\n    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{\n        kubeconfig {}\n        ttl 5\n    }}\n}}\n",
        kubeconfig.display()
    )
}

/// The `resolv.conf` of programs that run in the network of the cluster, but not in a pod.
pub(crate) fn resolver(address: IpAddr) -> String {
    format!(
        "nameserver {address}\nsearch default.svc.{CLUSTER_DOMAIN} svc.{CLUSTER_DOMAIN} {CLUSTER_DOMAIN}\noptions ndots:5\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::ADDRESS;

    #[test]
    fn every_path_is_below_the_state_folder() {
        let state = Path::new("/state");
        let text = containerd(state, Store::Disk) + &network(state).to_string();
        assert!(text.contains("root = \"/state/data/containerd/root\""));
        assert!(text.contains("\"dataDir\":\"/state/addresses\""));
        let kubelet = kubelet(state, Path::new("/state/ca.crt"), ADDRESS);
        assert_eq!(
            kubelet["containerRuntimeEndpoint"],
            "unix:///state/containerd.sock"
        );
        assert_eq!(kubelet["clusterDNS"][0], "172.30.0.1");
        assert_eq!(kubelet["cgroupRoot"], "/pgpool-e2e");
    }
}
