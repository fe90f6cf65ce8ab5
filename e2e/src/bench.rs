//! Benchmarks: figures to reach, measured in a cluster. Tests never look at them: a figure says how fast this
//! machine was today, not whether the code is right.

mod create;
mod requests;
mod rotate;
pub mod table;
mod users;
pub mod values;

use std::path::Path;

use anyhow::Context as _;
use clap::ValueEnum;
use kube::Client;

use crate::stage::Stage;
use crate::target::Target;
use crate::{diagnostics, operators};

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// From a new Pgpool to one that is ready, and what it costs.
    Create,
    /// From a renewed certificate, or a new issuer, to pods that serve it, and what clients notice.
    Rotate,
    /// From a changed user or setting to pods that go by it, and what the health check costs them.
    Users,
}

/// Runs one in the local cluster, or in the one of `kubeconfig`.
pub fn run(stage: &Stage, kubeconfig: Option<&Path>, benchmark: Benchmark) -> anyhow::Result<()> {
    let target = Target::prepare(stage, kubeconfig)?;
    let (name, figures) = match benchmark {
        Benchmark::Create => ("bench-create", target.run(create::measure(stage, &target))?),
        Benchmark::Rotate => ("bench-rotate", target.run(rotate::measure(stage, &target))?),
        Benchmark::Users => ("bench-users", target.run(users::measure(stage, &target))?),
    };
    print!("{}", table::rendered(&figures));
    let file = table::keep(stage, name, &figures)?;
    println!("written to {}", file.display());
    Ok(())
}

/// Adds to a failure where all that is known about some namespaces was written, the operators' own included.
pub async fn explained<T>(
    stage: &Stage,
    client: &Client,
    name: &str,
    namespaces: &[&str],
    result: anyhow::Result<T>,
) -> anyhow::Result<T> {
    let Err(error) = result else { return result };
    let file = stage.results().join(format!("{name}.txt"));
    let namespaces = [namespaces, &[operators::NAMESPACE]].concat();
    diagnostics::dump(client, &namespaces, &file).await?;
    Err(error).with_context(|| format!("see {}", file.display()))
}
