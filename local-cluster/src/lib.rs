//! A local Kubernetes cluster made of real components, built and run without a container engine.
//!
//! There are two levels. A [`control_plane::ControlPlane`] is etcd, kube-apiserver, kube-controller-manager and
//! cert-manager on loopback: no root, no containers, any number at a time. A [`cluster::Cluster`] adds a node with
//! containerd and a kubelet; there is one per machine, in namespaces of its own, so that stopping it leaves nothing behind.
//!
//! | Modules | Concern |
//! |---|---|
//! | [`cache`], [`command`], [`progress`], [`builder`] | running slow commands only once, and showing their progress |
//! | [`packages`], `go`, [`components`], [`images`], [`artifacts`] | what must exist before a cluster starts |
//! | `pki`, [`process`], [`control_plane`], [`node`], [`cluster`], [`cluster_lock`] | starting and stopping the cluster |
//! | [`target`] | this cluster, or one that the user names |
//! | [`manifests`], [`wait`], [`diagnostics`], [`audit`] | building blocks for tests on a cluster |

// A tool of this repository alone: documented where a name does not say it.
#![allow(missing_docs, clippy::must_use_candidate)]

pub mod artifacts;
pub mod audit;
pub mod builder;
pub mod cache;
pub mod cluster;
pub mod cluster_lock;
pub mod command;
pub mod components;
pub mod control_plane;
pub mod diagnostics;
mod go;
pub mod images;
pub mod manifests;
pub mod node;
pub mod packages;
mod pki;
pub mod process;
pub mod progress;
pub mod target;
pub mod wait;

/// Installs the provider of cryptography for TLS. A second call has no effect.
pub fn install_crypto() {
    // An error only means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
