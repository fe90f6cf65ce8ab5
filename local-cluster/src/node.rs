//! The node: containerd, a kubelet, kube-proxy and DNS, closed off in namespaces of its own.
//!
//! [`namespaces`] makes the room, [`cgroups`] bounds its pods, [`settings`] is what its daemons
//! read, [`store`] is where its bulk lies.

pub mod cgroups;
pub mod namespaces;
pub mod settings;
pub mod store;

use std::net::{IpAddr, Ipv4Addr};

/// The only node.
pub const NAME: &str = "node1";

/// Its address, on a bridge that leads nowhere.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 30, 0, 1));

/// The addresses of its pods.
pub const POD_CIDR: &str = "10.244.0.0/24";

/// The domain of Services.
pub const CLUSTER_DOMAIN: &str = "cluster.local";
