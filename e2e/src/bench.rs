//! Benchmarks: figures to reach, measured in a cluster. Tests never look at them: a figure says how fast this
//! machine was today, not whether the code is right.

mod bounds;
mod create;
pub(crate) mod figures;
mod memory;
mod requests;
mod rotate;
pub(crate) mod statistics;
mod users;

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use kube::Client;
use local_cluster::diagnostics;

use crate::operators;
use crate::workspace::Workspace;

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// From a new Pgpool to one that is ready, and what it costs.
    Create,
    /// From a renewed certificate, or a new issuer, to pods that serve it, and what clients notice.
    Rotate,
    /// How long the operators work on the largest objects that are admitted. Needs no cluster, and fails beyond 50 ms.
    Bounds,
    /// The memory of both operators with many pools with TLS. Needs no cluster.
    Memory,
    /// From a changed user or setting to pods that go by it, and what the health check costs them.
    Users,
}

/// Runs one in the local cluster, or in the one of `kubeconfig`.
pub(crate) fn run(
    workspace: &Workspace,
    kubeconfig: Option<&Path>,
    benchmark: Benchmark,
    pools: usize,
) -> anyhow::Result<()> {
    match benchmark {
        Benchmark::Bounds => return run_bounds(workspace),
        Benchmark::Memory => return report(workspace, "bench-memory", &memory::measure(workspace, pools)?),
        _ => {}
    }
    let target = workspace.prepare(kubeconfig)?;
    let (name, figures) = match benchmark {
        // Above, without a cluster.
        Benchmark::Bounds | Benchmark::Memory => return Ok(()),
        Benchmark::Create => ("bench-create", target.run(create::measure(workspace, &target))?),
        Benchmark::Rotate => ("bench-rotate", target.run(rotate::measure(workspace, &target))?),
        Benchmark::Users => ("bench-users", target.run(users::measure(workspace, &target))?),
    };
    report(workspace, name, &figures)
}

fn report(workspace: &Workspace, name: &str, figures: &[figures::Figure]) -> anyhow::Result<()> {
    print!("{}", figures::rendered(figures));
    let file = figures::keep(workspace, name, figures)?;
    println!("written to {}", file.display());
    Ok(())
}

fn run_bounds(workspace: &Workspace) -> anyhow::Result<()> {
    let (figures, all_met) = bounds::measure(workspace)?;
    report(workspace, "bench-bounds", &figures)?;
    if !all_met {
        bail!("one object takes longer than it may: see the lines with NO");
    }
    Ok(())
}

/// Adds to a failure where all that is known about some namespaces was written, the operators' own included.
pub(crate) async fn with_diagnostics<T>(
    workspace: &Workspace,
    client: &Client,
    name: &str,
    namespaces: &[&str],
    result: anyhow::Result<T>,
) -> anyhow::Result<T> {
    let Err(error) = result else { return result };
    let file = workspace.results().join(format!("{name}.txt"));
    let namespaces = [namespaces, &[operators::NAMESPACE]].concat();
    diagnostics::dump(client, &namespaces, &file).await?;
    Err(error).with_context(|| format!("see {}", file.display()))
}
