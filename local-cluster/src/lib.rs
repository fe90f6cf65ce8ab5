//! A local Kubernetes cluster made of real components, built and run without a container engine.
//!
//! It works on two levels. A [`control_plane::ControlPlane`] is etcd, kube-apiserver,
//! kube-controller-manager and cert-manager on loopback: no root, no containers, as many side by side as
//! wanted. A [`cluster::Cluster`] adds a node with containerd and a kubelet, one per machine, closed off in
//! namespaces of its own so that stopping it leaves nothing behind.
//!
//! | Modules | Concern |
//! |---|---|
//! | [`cache`], [`command`], [`progress`] | running long things once, and showing them |
//! | [`packages`], [`go`], [`components`], [`images`], [`artifacts`] | what must exist before a cluster starts |
//! | [`pki`], [`process`], [`control_plane`], [`node`], [`cluster`], [`cluster_lock`] | bringing the cluster up and down |
//! | [`target`] | this cluster, or one that the user names |
//! | [`manifests`], [`wait`], [`diagnostics`], [`audit`] | what tests on a cluster are written with |

pub mod artifacts;
pub mod audit;
pub mod cache;
pub mod cluster;
pub mod cluster_lock;
pub mod command;
pub mod components;
pub mod control_plane;
pub mod diagnostics;
pub mod go;
pub mod images;
pub mod manifests;
pub mod node;
pub mod packages;
pub mod pki;
pub mod process;
pub mod progress;
pub mod target;
pub mod wait;

/// Chooses the cryptography of TLS connections. A second call is without effect.
pub fn install_crypto() {
    // The error only says that it was done before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
