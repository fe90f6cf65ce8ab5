//! Writes the status, once and only when it says something new, and publishes an event for each transition that a
//! person would want to hear of. Decides nothing about the `Pgpool`.

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Outcome;
use operator_runtime::events::is_transition;
use operator_runtime::status::write_status;
use shared_types::conditions::{ConditionType, find, is_true};
use shared_types::{Pgpool, PgpoolStatus, names};
use tracing::info;

use super::context::Context;
use super::error::Error;
use super::status::{Report, differ_in_words_only, ours};

#[cfg(test)]
mod tests;

/// Publishes a report and gives what the reconcile came to.
///
/// # Errors
/// When the status could not be written.
pub async fn publish(
    pgpool: &Pgpool,
    context: &Context,
    report: Report,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let Report {
        status: Some(status),
        outcome,
    } = report
    else {
        return Ok(report.outcome);
    };
    let key = ObjectRef::from_obj(pgpool);
    let before = ours(&pgpool.status.clone().unwrap_or_default());
    if status != before
        && differ_in_words_only(&status, &before)
        && let Some(pause) = context.pace.pause(&key, now)
    {
        return Ok(soon(outcome, pause));
    }
    let sent = write_status(&context.client, names::PROVISIONER, pgpool, &status, &before).await;
    if sent.map_err(Error::Status)? {
        context.pace.written(&key, now);
        context.written.status(pgpool, status.clone());
        for (kind, reason, note) in transitions(&before, &status) {
            info!(%key, reason, "{note}");
            match kind {
                Kind::Normal => context.events.normal(pgpool, ACTION, &reason, &note).await,
                Kind::Warning => context.events.warning(pgpool, ACTION, &reason, &note).await,
            }
        }
    }
    Ok(outcome)
}

/// What the events are about.
const ACTION: &str = "Provisioning";

/// Whether a person has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Warning,
}

/// Looks again when the pause is over, if nothing happens before.
fn soon(outcome: Outcome, pause: Duration) -> Outcome {
    match outcome {
        Outcome::Waiting { reason, after } => Outcome::Waiting {
            reason,
            after: Some(after.map_or(pause, |after| after.min(pause))),
        },
        Outcome::ConvergedUntil(due) => Outcome::ConvergedUntil(due.min(pause)),
        Outcome::Converged => Outcome::ConvergedUntil(pause),
        Outcome::Rejected { reason } => Outcome::Waiting {
            reason,
            after: Some(pause),
        },
    }
}

/// The transitions that are worth an event: the first success, every later change of readiness, and being stuck.
fn transitions(before: &PgpoolStatus, after: &PgpoolStatus) -> Vec<(Kind, String, String)> {
    let new = |ty| {
        let condition = find(&after.conditions, ty)?;
        is_transition(find(&before.conditions, ty), condition).then_some(condition)
    };
    let holds = |ty| is_true(&after.conditions, ty);
    let mut events = Vec::new();
    if let Some(stalled) = new(ConditionType::Stalled) {
        events.push((Kind::Warning, stalled.reason.clone(), stalled.message.clone()));
    }
    if let Some(provisioned) = new(ConditionType::Provisioned) {
        events.push((
            Kind::Normal,
            provisioned.reason.clone(),
            "The Pgpool is ready".to_owned(),
        ));
    } else if holds(ConditionType::Provisioned)
        && let Some(ready) = new(ConditionType::Ready)
    {
        let kind = if holds(ConditionType::Ready) {
            Kind::Normal
        } else {
            Kind::Warning
        };
        events.push((kind, ready.reason.clone(), ready.message.clone()));
    }
    events
}
