//! The demonstration: the ten steps of a TLS Pgpool, as they happen.

use std::path::Path;

use anyhow::bail;

use crate::stage::Stage;

/// Runs it in the local cluster, or in the one of `kubeconfig`.
pub fn run(_stage: &Stage, _kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    bail!("there is no demonstration yet")
}
