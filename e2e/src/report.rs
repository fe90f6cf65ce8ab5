//! Reports: long tables about what holds in a cluster, for people who want to see all of it.

mod modes;

use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

use crate::stage::Stage;
use crate::target::Target;

/// The reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// Every security mode against every kind of client: who gets in, and why not.
    Modes,
}

/// Makes one in the local cluster, or in the one of `kubeconfig`. The exit status tells whether all is as it should be.
pub fn run(stage: &Stage, kubeconfig: Option<&Path>, report: Report) -> anyhow::Result<ExitCode> {
    let target = Target::prepare(stage, kubeconfig)?;
    match report {
        Report::Modes => target.run(modes::report(stage, &target)),
    }
}
