//! The whole matrix of modes and clients, against real pools.

use std::process::ExitCode;
use std::time::Instant;

use local_cluster::target::Target;

use crate::matrix::{table, waves};
use crate::scene::Scene;
use crate::scene::database::Database;
use crate::workspace::Workspace;

/// Asks all pools, prints the table, and leaves the same for programs.
pub async fn report(workspace: &Workspace, target: &Target) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let client = target.client().await?;
    let step = workspace
        .progress
        .step("start a PostgreSQL with TLS and one without");
    let tls = Database::start(&client, "matrix-tls").await?;
    let databases = waves::Databases::beside(&client, tls.clone()).await?;
    step.done();
    let scene = Scene::create(&client, "matrix").await?;
    let asked = waves::ask(&scene, &databases, &waves::pools(true), &workspace.progress).await;
    // Nobody waits for their end.
    for place in [&scene, tls.scene()] {
        place.remove().await?;
    }
    databases.remove().await?;
    let asked = asked?;
    super::keep(
        workspace,
        "report-modes",
        &table::as_json(&asked, begin.elapsed()),
    )?;
    print!("{}", table::rendered(&asked));
    Ok(match table::counts(&asked) {
        (_, 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
