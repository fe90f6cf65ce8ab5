//! The part of the corpus of hostile objects that takes little time; `cargo e2e report hostile` carries out all of it.

use anyhow::ensure;

use crate::case::{Case, Context};
use crate::hostile::{self, Installation};
use crate::operators::NAMES;

pub(super) fn cases() -> Vec<Case> {
    // Alone, since it measures time and memory.
    vec![Case::api("hostile::nothing_gets_through", nothing_gets_through).alone()]
}

async fn nothing_gets_through(context: Context) -> anyhow::Result<()> {
    let operators = NAMES.into_iter().map(|name| Ok((name, context.operator(name)?)));
    let installation = Installation {
        operators: operators.collect::<anyhow::Result<_>>()?,
        charts: context.workspace.root.join("charts"),
        log_filter: "trace".to_owned(),
        patience: hostile::PATIENCE,
        processor: hostile::PROCESSOR,
    };
    let mut attacks = hostile::corpus()?;
    attacks.retain(|attack| attack.ci);
    let progress = &context.workspace.progress;
    let verdicts = hostile::carry_out(context.programs()?, &installation, &attacks, progress).await?;
    let through: Vec<_> = verdicts
        .iter()
        .filter(|verdict| verdict.got_through())
        .map(ToString::to_string)
        .collect();
    ensure!(
        through.is_empty(),
        "{}\n{}",
        hostile::summary(&verdicts),
        through.join("\n")
    );
    Ok(())
}
