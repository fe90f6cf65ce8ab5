//! The node: containerd, a kubelet, kube-proxy and DNS, isolated in namespaces of their own.

pub(crate) mod cgroups;
pub(crate) mod namespaces;
pub(crate) mod settings;
pub(crate) mod store;

use std::net::{IpAddr, Ipv4Addr};

/// The name of the node.
pub const NAME: &str = "node1";

/// The address of the node, on a bridge without an uplink.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 0, 1));

/// The range of the addresses of pods.
pub(crate) const POD_CIDR: &str = "10.244.0.0/24";

pub(crate) const CLUSTER_DOMAIN: &str = "cluster.local";
