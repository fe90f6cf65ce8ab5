//! Writes the status, once and only when it says something new, and publishes an event for each transition that a
//! person would want to hear of. Decides nothing about the `Pgpool`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Outcome;
use operator_runtime::events::is_transition;
use operator_runtime::status::write_status;
use shared_types::conditions::{ConditionType, Reason, Status, find, is_true};
use shared_types::{Pgpool, PgpoolStatus, names};
use tracing::info;

use super::error::Error;
use super::status::Report;
use crate::context::Context;
use crate::own_status::{differ_in_words_only, ours};

#[cfg(test)]
mod tests;

/// Publishes a report and gives what the reconcile came to.
///
/// # Errors
/// When the status could not be written.
pub(crate) async fn publish(
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
        && let Some(pause) = context.memory.with(&key, |pool| pool.status_pause(now))
    {
        return Ok(outcome.no_later_than(pause));
    }
    let sent = write_status(&context.client, names::PROVISIONER, pgpool, &status, &before).await;
    if sent.map_err(Error::Status)? {
        context.memory.with(&key, |pool| pool.status_written(now));
        context.memory.pending.status(pgpool, status.clone());
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
    if let Some(held) = new(ConditionType::RotationHeld)
        && let Some(kind) = kind_of_held(held)
    {
        events.push((kind, held.reason.clone(), held.message.clone()));
    }
    if let Some(users) = new(ConditionType::UsersIncomplete) {
        events.push((Kind::Warning, users.reason.clone(), users.message.clone()));
    }
    // That metrics are offered from the first is what was asked for, and no news.
    if let Some(monitored) = new(ConditionType::Monitored)
        && (find(&before.conditions, ConditionType::Monitored).is_some() || !holds(ConditionType::Monitored))
    {
        let kind = if holds(ConditionType::Monitored) {
            Kind::Normal
        } else {
            Kind::Warning
        };
        events.push((kind, monitored.reason.clone(), monitored.message.clone()));
    }
    if let Some(initialized) = new(ConditionType::Initialized)
        && let Some(kind) = kind_of_initialized(initialized)
    {
        events.push((kind, initialized.reason.clone(), initialized.message.clone()));
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
        let kind = if holds(ConditionType::Ready) || is_planned(ready, after) {
            Kind::Normal
        } else {
            Kind::Warning
        };
        events.push((kind, ready.reason.clone(), ready.message.clone()));
    }
    events
}

/// Whether a pool is not ready because it is on its way to what was asked: an edit is not in effect yet, or pods are
/// replaced one by one for the sake of their certificates.
fn is_planned(ready: &Condition, after: &PgpoolStatus) -> bool {
    let Some(work) = find(&after.conditions, ConditionType::Reconciling) else {
        return false;
    };
    let is_work = work.status == Status::True.as_str();
    is_work
        && (work.reason == Reason::RollingOut.as_str()
            || ready.observed_generation < work.observed_generation)
}

/// Whether a certificate that waits, or does not, is worth an event, and which. To wait for one's turn is none: there are
/// many who do.
fn kind_of_held(condition: &Condition) -> Option<Kind> {
    match Reason::from_word(&condition.reason)? {
        Reason::WaitingForRotationLimit => None,
        Reason::WaitingForWindow => Some(Kind::Normal),
        _ => Some(Kind::Warning),
    }
}

/// Whether a step of the scripts is worth an event, and which. Waiting for the pool is none.
fn kind_of_initialized(condition: &Condition) -> Option<Kind> {
    match Reason::from_word(&condition.reason)? {
        Reason::InitWaitingForPool | Reason::InitSkipped => None,
        Reason::InitRunning | Reason::InitSucceeded => Some(Kind::Normal),
        _ => Some(Kind::Warning),
    }
}
