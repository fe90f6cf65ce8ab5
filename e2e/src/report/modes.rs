//! The whole matrix of modes and clients, against real pools.

use std::process::ExitCode;
use std::time::Instant;

use local_cluster::target::Target;

use super::Setup;
use crate::matrix::outcomes::counts;
use crate::matrix::{batches, mode_report};
use crate::workspace::Workspace;

/// Connects to all pools in every way, prints the table, and writes the same for programs.
pub(crate) async fn report(workspace: &Workspace, target: &Target) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let pools = batches::pools(true);
    let setup = Setup::create(workspace, target, "matrix").await?;
    let outcomes = batches::try_all(&setup.ns, &setup.databases, &pools, &workspace.progress).await;
    setup.remove().await?;
    let outcomes = outcomes?;
    super::keep(
        workspace,
        "report-modes",
        &mode_report::as_json(&outcomes, begin.elapsed()),
    )?;
    print!("{}", mode_report::rendered(&outcomes));
    Ok(super::exit_code(counts(&outcomes).3))
}
