//! The corpus of hostile objects against these operators, or against any others.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use serde_json::json;

use crate::hostile::{self, Attack, Installation, Verdict};
use crate::operators;
use crate::workspace::Workspace;

use super::{exit_code, keep};

#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Options {
    /// The folder with the programs provisioner and ops-manager; those of this source tree otherwise.
    #[arg(long, value_name = "FOLDER")]
    operators: Option<PathBuf>,

    /// The folder with the charts of these programs; those of this source tree otherwise.
    #[arg(long, value_name = "FOLDER")]
    charts: Option<PathBuf>,

    /// What the operators log. All of it is searched for secrets.
    #[arg(long, value_name = "FILTER", default_value = "trace")]
    log_filter: String,

    /// Seconds until an operator must be ready again, and until the neighbor must be served.
    #[arg(long, value_name = "SECONDS", default_value_t = hostile::PATIENCE.as_secs())]
    patience: u64,

    /// Seconds of processor time that both operators may use for one attack.
    #[arg(long, value_name = "SECONDS", default_value_t = hostile::PROCESSOR)]
    processor: u32,

    /// Only the attacks that CI carries out.
    #[arg(long)]
    ci: bool,

    /// Only attacks whose name or group contains this.
    filter: Option<String>,
}

impl Options {
    fn chosen(&self) -> anyhow::Result<Vec<Attack>> {
        let filter = self.filter.as_deref().unwrap_or_default();
        let mut attacks = hostile::corpus()?;
        attacks.retain(|attack| (attack.ci || !self.ci) && attack.full_name().contains(filter));
        ensure!(!attacks.is_empty(), "no attack has a name with {filter:?}");
        Ok(attacks)
    }
}

pub(super) fn report(workspace: &Workspace, options: &Options) -> anyhow::Result<ExitCode> {
    let attacks = options.chosen()?;
    let programs = workspace.control_plane()?;
    let operators = match &options.operators {
        Some(folder) => operators::NAMES
            .into_iter()
            .map(|name| (name, folder.join(name)))
            .collect(),
        None => workspace.compile_operators(workspace.profile)?,
    };
    let installation = Installation {
        operators: operators.into_iter().collect(),
        charts: options
            .charts
            .clone()
            .unwrap_or_else(|| workspace.root.join("charts")),
        log_filter: options.log_filter.clone(),
        patience: Duration::from_secs(options.patience),
        processor: options.processor,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let verdicts = runtime.block_on(hostile::carry_out(
        &programs,
        &installation,
        &attacks,
        &workspace.progress,
    ))?;
    let through = verdicts.iter().filter(|verdict| verdict.got_through()).count();
    let all = json!({
        "attacks": verdicts.len(),
        "through": through,
        "verdicts": verdicts.iter().map(Verdict::json).collect::<Vec<_>>(),
    });
    keep(workspace, "report-hostile", &all)?;
    println!("{}", hostile::summary(&verdicts));
    Ok(exit_code(through))
}
