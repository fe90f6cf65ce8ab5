//! Benchmarks: figures to reach, measured in a cluster.

use std::path::Path;

use anyhow::bail;
use clap::ValueEnum;

use crate::stage::Stage;

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// From a new Pgpool to one that is ready, and what it costs.
    Create,
}

/// Runs one in the local cluster, or in the one of `kubeconfig`.
pub fn run(_stage: &Stage, _kubeconfig: Option<&Path>, _benchmark: Benchmark) -> anyhow::Result<()> {
    bail!("there is no benchmark yet")
}
