//! Benchmarks: figures to reach, measured in a cluster. Tests never look at them: a figure says how fast this
//! machine was today, not whether the code is right.

mod create;
mod requests;
mod table;

use std::path::Path;

use clap::ValueEnum;

use crate::stage::Stage;
use crate::target::Target;

/// The benchmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// From a new Pgpool to one that is ready, and what it costs.
    Create,
}

/// Runs one in the local cluster, or in the one of `kubeconfig`.
pub fn run(stage: &Stage, kubeconfig: Option<&Path>, benchmark: Benchmark) -> anyhow::Result<()> {
    let target = Target::prepare(stage, kubeconfig)?;
    let (name, figures) = match benchmark {
        Benchmark::Create => ("bench-create", target.run(create::measure(stage, &target))?),
    };
    print!("{}", table::rendered(&figures));
    let file = table::keep(stage, name, &figures)?;
    println!("written to {}", file.display());
    Ok(())
}
