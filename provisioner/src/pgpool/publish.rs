//! Writes the status, once and only when it has changed, and publishes an event for each transition that matters to people.
//! Decides nothing about the `Pgpool`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Outcome;
use operator_runtime::events::is_transition;
use operator_runtime::status::write_status;
use shared_types::conditions::{ConditionType, Reason, Status, find, is_true};
use shared_types::{Pgpool, PgpoolStatus, names};
use tracing::info;

use super::apply::Applied;
use super::error::Error;
use super::report::Report;
use crate::context::Context;
use crate::own_status::{differ_in_messages_only, ours};

#[cfg(test)]
mod tests;

/// Publishes a report and returns the outcome of the reconcile.
///
/// # Errors
/// When the status could not be written, or an object before that.
pub(crate) async fn publish(
    pgpool: &Pgpool,
    context: &Context,
    report: Report,
    applied: Applied,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let Report { status, outcome } = report;
    let pause = match status {
        Some(status) => publish_status(pgpool, context, &status, now).await?,
        None => None,
    };
    if let Some(error) = applied.into_failure() {
        return Err(Error::Apply(error));
    }
    Ok(match pause {
        Some(pause) => outcome.no_later_than(pause),
        None => outcome,
    })
}

/// Writes a status that has changed, and publishes its events. Returns how long it has to wait if only messages have
/// changed.
async fn publish_status(
    pgpool: &Pgpool,
    context: &Context,
    status: &PgpoolStatus,
    now: Timestamp,
) -> Result<Option<Duration>, Error> {
    let key = ObjectRef::from_obj(pgpool);
    let before = ours(&pgpool.status.clone().unwrap_or_default());
    if *status != before
        && differ_in_messages_only(status, &before)
        && let Some(pause) = context.memory.with(&key, |pool| pool.status_pause(now))
    {
        return Ok(Some(pause));
    }
    let sent = write_status(&context.client, names::PROVISIONER, pgpool, status, &before).await;
    if sent.map_err(Error::Status)? {
        context.memory.with(&key, |pool| pool.status_written(now));
        context.memory.pending.status(pgpool, status.clone());
        for (kind, reason, note) in transitions(&before, status) {
            info!(%key, reason, "{note}");
            match kind {
                Kind::Normal => context.events.normal(pgpool, ACTION, &reason, &note).await,
                Kind::Warning => context.events.warning(pgpool, ACTION, &reason, &note).await,
            }
        }
    }
    Ok(None)
}

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
    // Metrics that are exposed from the start are no news.
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

/// Whether a pool is not ready because of a planned change: an edit is not in effect yet, or pods are replaced one by one
/// for new certificates.
fn is_planned(ready: &Condition, after: &PgpoolStatus) -> bool {
    let Some(work) = find(&after.conditions, ConditionType::Reconciling) else {
        return false;
    };
    let is_work = work.status == Status::True.as_str();
    is_work
        && (work.reason == Reason::RollingOut.as_str()
            || ready.observed_generation < work.observed_generation)
}

/// The event for condition `RotationHeld`, if it is worth one. Waiting for the rotation limit is not: many Pgpools do.
fn kind_of_held(condition: &Condition) -> Option<Kind> {
    match Reason::from_word(&condition.reason)? {
        Reason::WaitingForRotationLimit => None,
        Reason::WaitingForWindow => Some(Kind::Normal),
        _ => Some(Kind::Warning),
    }
}

/// The event for condition Initialized, if it is worth one. Waiting for the pool is not.
fn kind_of_initialized(condition: &Condition) -> Option<Kind> {
    match Reason::from_word(&condition.reason)? {
        Reason::InitWaitingForPool | Reason::InitSkipped => None,
        Reason::InitRunning | Reason::InitSucceeded => Some(Kind::Normal),
        _ => Some(Kind::Warning),
    }
}
