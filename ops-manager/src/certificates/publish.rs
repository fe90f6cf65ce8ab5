//! Publishes a report: the verdict for the channel, our part of the status, and an event when the condition changes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use operator_runtime::events::{Events, is_transition};
use operator_runtime::status::write_status;
use shared_types::conditions::{self, ConditionType, Reason};
use shared_types::{Pgpool, names};
use tracing::info;

use super::error::Error;
use super::observe::Observed;
use super::report::{self, Report};
use crate::context::Context;

const ACTION: &str = "Certificates";

/// The verdict is on the channel before the API server is waited for.
pub(crate) async fn publish(
    context: &Context,
    pgpool: &Pgpool,
    observed: &Observed,
    report: Option<&Report>,
    now: Timestamp,
) -> Result<(), Error> {
    let (namespace, name) = (pgpool.namespace().unwrap_or_default(), pgpool.name_any());
    match report {
        // The last verdict stays until more is known.
        Some(report) if report.unknown => {}
        Some(report) => context.verdicts.publish(report.verdict.clone()),
        None => context.verdicts.remove(&namespace, &name),
    }
    let current = &observed.recent.status;
    let status = report::own_status(report, current, now);
    let written = write_status(&context.client, names::OPS_MANAGER, pgpool, &status, current).await;
    if !written.map_err(Error::Status)? {
        return Ok(());
    }
    let condition = status.condition(ConditionType::CertificatesReady).cloned();
    let shared = status.condition(ConditionType::ClientIssuerShared).cloned();
    context.memory.record_status(pgpool, status);
    if let Some(shared) = shared
        && is_transition(current.condition(ConditionType::ClientIssuerShared), &shared)
    {
        let (reason, note) = (&shared.reason, &shared.message);
        context.events.warning(pgpool, ACTION, reason, note).await;
    }
    let Some(condition) = condition else {
        return Ok(());
    };
    let before = current.condition(ConditionType::CertificatesReady);
    if is_transition(before, &condition) {
        info!(%namespace, %name, ready = %condition.status, reason = %condition.reason, "certificates: {}", condition.message);
        publish_event(pgpool, before, &condition, &context.events).await;
    }
    Ok(())
}

/// A warning when something needs attention; a normal event when it is fixed, and when ready certificates are replaced.
async fn publish_event(pgpool: &Pgpool, before: Option<&Condition>, now: &Condition, events: &Events) {
    let holds = |condition: &Condition| condition.status == conditions::Status::True.as_str();
    let (reason, note) = (now.reason.as_str(), now.message.as_str());
    let is_one_of = |reasons: &[Reason]| reasons.iter().any(|one| one.as_str() == reason);
    let needs_attention = is_one_of(&[
        Reason::RootNotPublished,
        Reason::RenewalOverdue,
        Reason::ExpiresSoon,
    ]);
    let is_in_progress = is_one_of(&[
        Reason::Issuing,
        Reason::WaitingForProvisioner,
        Reason::WaitingForTrust,
    ]);
    if needs_attention {
        events.warning(pgpool, ACTION, reason, note).await;
    } else if holds(now) || (is_in_progress && before.is_some_and(holds)) {
        events.normal(pgpool, ACTION, reason, note).await;
    } else if !is_in_progress {
        events.warning(pgpool, ACTION, reason, note).await;
    }
}
