//! Every kind of change of the mode of a running pool.

use std::process::ExitCode;
use std::time::Instant;

use local_cluster::target::Target;

use super::Setup;
use crate::matrix::outcomes::counts;
use crate::matrix::routes::{self, Part};
use crate::matrix::{change_report, transitions};
use crate::workspace::Workspace;

/// Makes all changes, prints what came of each, and writes the same for programs.
pub(crate) async fn report(
    workspace: &Workspace,
    target: &Target,
    part: Option<Part>,
) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let every = routes::every()?;
    let routes = match part {
        Some(part) => part.of(every),
        None => every,
    };
    let setup = Setup::create(workspace, target, "transitions").await?;
    let made = transitions::change_all(&setup.ns, &setup.databases, &routes, &workspace.progress).await;
    setup.remove().await?;
    let made = made?;
    let json = change_report::as_json(&made, begin.elapsed());
    super::keep(workspace, "report-transitions", &json)?;
    print!("{}", change_report::rendered(&made));
    Ok(super::exit_code(counts(&made).3))
}
