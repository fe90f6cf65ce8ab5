//! The demo, the test cases and the benchmarks of the two operators, all behind `cargo e2e`, on the cluster of
//! [`local_cluster`].
//!
//! | Modules | Concern |
//! |---|---|
//! | [`cli`], [`workspace`], [`runner`] | what a command does, in which order |
//! | [`images`], [`operators`] | what the cluster runs of ours |
//! | [`mod@case`], [`scene`] | what test cases are written with |
//! | [`cases`], [`guides`], [`demo`], [`bench`], [`soak`], [`report`], [`matrix`] | the cases, the guides, the demo, the benchmarks, the soak and the reports themselves |

pub mod bench;
pub mod case;
pub mod cases;
pub mod cli;
pub mod demo;
pub mod guides;
pub mod images;
pub mod matrix;
pub mod operators;
pub mod report;
pub mod runner;
pub mod scene;
pub mod soak;
pub mod workspace;
