//! Every kind of change of the mode of a running pool.

use std::process::ExitCode;
use std::time::Instant;

use local_cluster::target::Target;

use crate::matrix::walk::{self, Part};
use crate::matrix::{changes, transitions, waves};
use crate::scene::Scene;
use crate::scene::database::Database;
use crate::workspace::Workspace;

/// Makes all changes, prints what came of each, and leaves the same for programs.
pub async fn report(workspace: &Workspace, target: &Target, part: Option<Part>) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let client = target.client().await?;
    let step = workspace
        .progress
        .step("start a PostgreSQL with TLS and one without");
    let tls = Database::start(&client, "matrix-tls").await?;
    let databases = waves::Databases::beside(&client, tls.clone()).await?;
    step.done();
    let scene = Scene::create(&client, "transitions").await?;
    let walks = match part {
        Some(part) => part.of(walk::every()),
        None => walk::every(),
    };
    let made = transitions::walk(&scene, &databases, &walks, &workspace.progress).await;
    // Nobody waits for their end.
    for place in [&scene, tls.scene()] {
        place.remove().await?;
    }
    databases.remove().await?;
    let made = made?;
    super::keep(
        workspace,
        "report-transitions",
        &changes::as_json(&made, begin.elapsed()),
    )?;
    print!("{}", changes::rendered(&made));
    Ok(match changes::counts(&made) {
        (.., 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
