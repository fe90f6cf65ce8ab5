//! The harness around the two operators: a local cluster made of real components, the demo, the test
//! cases and the benchmarks, all behind `cargo e2e`.
//!
//! It works on two levels. A [`control_plane::ControlPlane`] is etcd, kube-apiserver,
//! kube-controller-manager and cert-manager on loopback: no root, no containers, as many side by side as
//! wanted. A [`cluster::Cluster`] adds a node with containerd and a kubelet, one per machine, closed off in
//! namespaces of its own so that stopping it leaves nothing behind.
//!
//! | Modules | Concern |
//! |---|---|
//! | [`cli`], [`stage`], [`target`], [`runner`] | what a command does, in which order |
//! | [`cache`], [`command`], [`progress`] | running long things once, and showing them |
//! | [`packages`], [`go`], [`components`], [`images`], [`operators`] | what must exist before a cluster starts |
//! | [`pki`], [`process`], [`control_plane`], [`node`], [`cluster`], [`hold`] | bringing the cluster up and down |
//! | [`manifests`], [`wait`], [`diagnostics`], [`audit`], [`scene`] | what test cases are written with |
//! | [`cases`], [`guides`], [`demo`], [`bench`], [`soak`], [`report`], [`matrix`] | the cases, the guides, the demo, the benchmarks, the soak and the reports themselves |

pub mod audit;
pub mod bench;
pub mod cache;
pub mod cases;
pub mod cli;
pub mod cluster;
pub mod command;
pub mod components;
pub mod control_plane;
pub mod demo;
pub mod diagnostics;
pub mod go;
pub mod guides;
pub mod hold;
pub mod images;
pub mod manifests;
pub mod matrix;
pub mod node;
pub mod operators;
pub mod packages;
pub mod pki;
pub mod process;
pub mod progress;
pub mod report;
pub mod runner;
pub mod scene;
pub mod soak;
pub mod stage;
pub mod target;
pub mod wait;
