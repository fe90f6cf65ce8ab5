//! The whole matrix of modes and clients, against real pools.

use std::process::ExitCode;
use std::time::Instant;

use local_cluster::target::Target;

use super::Setup;
use crate::matrix::{table, waves};
use crate::workspace::Workspace;

/// Connects to all pools in every way, prints the table, and writes the same for programs.
pub async fn report(workspace: &Workspace, target: &Target) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let pools = waves::pools(true);
    let setup = Setup::create(workspace, target, "matrix").await?;
    let asked = waves::ask(&setup.scene, &setup.databases, &pools, &workspace.progress).await;
    setup.remove().await?;
    let asked = asked?;
    super::keep(
        workspace,
        "report-modes",
        &table::as_json(&asked, begin.elapsed()),
    )?;
    print!("{}", table::rendered(&asked));
    Ok(super::exit_code(table::counts(&asked).1))
}
