//! Computes the status of a request: which steps are done, what it waits for, how it ended. Pure.
//!
//! Steps come first, in the order in which they were done; then what the request waits for; the end is last.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use shared_types::conditions::{OpsCondition, OpsReason, Status, cut};
use shared_types::explanation::Explanation;
use shared_types::ops_request::{OpsPhase, ReplacedCertificate};
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus};

use super::operations::Step;
use super::resolution::Resolution;
use super::status::{find, has_ended, has_started, is_done};

/// The status of a request that has not started.
pub(crate) fn not_started(
    request: &PgpoolOpsRequest,
    current: &PgpoolOpsRequestStatus,
    resolution: &Resolution,
    now: Timestamp,
) -> PgpoolOpsRequestStatus {
    let mut status = current.clone();
    resolved(request, &mut status, &[], resolution, now);
    if !has_ended(&status) {
        status.phase = Some(OpsPhase::Pending);
    }
    status
}

/// The status of a request that starts now.
pub(crate) fn started(
    request: &PgpoolOpsRequest,
    replaced: Vec<ReplacedCertificate>,
    now: Timestamp,
) -> PgpoolOpsRequestStatus {
    let title = request.spec.type_.condition();
    let mut status = PgpoolOpsRequestStatus {
        phase: Some(OpsPhase::Progressing),
        observed_generation: request.metadata.generation,
        replaced_certificates: replaced,
        ..PgpoolOpsRequestStatus::default()
    };
    let pgpool = &request.spec.database_ref.name;
    let message = format!("The operation on Pgpool {pgpool} has started");
    put(request, &mut status, title, true, title.as_str(), message, now);
    let message = "Running the first step".to_owned();
    let reason = OpsReason::Progressing.as_str();
    put(
        request,
        &mut status,
        OpsCondition::Reconciling,
        true,
        reason,
        message,
        now,
    );
    status
}

pub(crate) fn step_done(
    request: &PgpoolOpsRequest,
    status: &mut PgpoolOpsRequestStatus,
    step: OpsCondition,
    message: String,
    now: Timestamp,
) {
    put(request, status, step, true, step.as_str(), message, now);
}

pub(crate) fn resolved(
    request: &PgpoolOpsRequest,
    status: &mut PgpoolOpsRequestStatus,
    steps: &[Step],
    resolution: &Resolution,
    now: Timestamp,
) {
    status.observed_generation = request.metadata.generation;
    let set = |status: &mut _, ty, holds, reason: &str, message: &str| {
        put(request, status, ty, holds, reason, message.to_owned(), now);
    };
    if let Resolution::Waiting(explanation) = resolution {
        let reason = explanation.reason.as_str();
        return set(
            status,
            OpsCondition::Reconciling,
            true,
            reason,
            &explanation.message,
        );
    }
    let waiting = |condition: &Condition| condition.type_ == OpsCondition::Reconciling.as_str();
    status.conditions.retain(|condition| !waiting(condition));
    let (phase, last, reason, message) = match resolution {
        Resolution::Successful { message } => {
            let last = OpsCondition::Successful;
            (OpsPhase::Successful, last, last.as_str(), message)
        }
        Resolution::Skipped { message } => {
            let reason = OpsReason::Superseded.as_str();
            (OpsPhase::Skipped, OpsCondition::Skipped, reason, message)
        }
        Resolution::Failed(Explanation { reason, message, .. }) => {
            let undone = steps.iter().find(|step| !is_done(status, step.condition));
            if let Some(undone) = undone
                && has_started(status)
            {
                set(status, undone.condition, false, reason.as_str(), message);
            }
            set(status, OpsCondition::Stalled, true, reason.as_str(), message);
            (OpsPhase::Failed, OpsCondition::Failed, reason.as_str(), message)
        }
        // Returned above.
        Resolution::Waiting(_) => return,
    };
    set(status, last, true, reason, message);
    status.phase = Some(phase);
}

/// Sets a condition. Its time changes only with its status; what the request waits for stays the last.
fn put(
    request: &PgpoolOpsRequest,
    status: &mut PgpoolOpsRequestStatus,
    ty: OpsCondition,
    holds: bool,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let new_status = Status::from(holds).as_str();
    // The API server stores whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let before = find(status, ty).filter(|before| before.status == new_status);
    let condition = Condition {
        type_: ty.as_str().to_owned(),
        status: new_status.to_owned(),
        reason: reason.to_owned(),
        message: cut(message),
        observed_generation: request.metadata.generation,
        last_transition_time: before.map_or(Time(now), |before| before.last_transition_time.clone()),
    };
    let is_waiting = |condition: &Condition| condition.type_ == OpsCondition::Reconciling.as_str();
    let conditions = &mut status.conditions;
    match conditions
        .iter_mut()
        .find(|before| before.type_ == condition.type_)
    {
        Some(before) => *before = condition,
        None => conditions.push(condition),
    }
    // A stable sort: the steps keep their order.
    conditions.sort_by_key(is_waiting);
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) is_warning: bool,
}

/// The event of a status whose phase has just changed; none while it waits.
pub(crate) fn announcement(status: &PgpoolOpsRequestStatus) -> Option<Announcement> {
    let end = |ty: OpsCondition, is_warning| {
        let message = find(status, ty)
            .map(|condition| condition.message.clone())
            .unwrap_or_default();
        Some(Announcement {
            reason: ty.as_str(),
            message,
            is_warning,
        })
    };
    match status.phase? {
        OpsPhase::Successful => end(OpsCondition::Successful, false),
        OpsPhase::Failed => end(OpsCondition::Failed, true),
        OpsPhase::Skipped => end(OpsCondition::Skipped, false),
        OpsPhase::Progressing => Some(Announcement {
            reason: "Starting",
            message: status.conditions.first()?.message.clone(),
            is_warning: false,
        }),
        OpsPhase::Pending | OpsPhase::WaitingForApproval | OpsPhase::Approved | OpsPhase::Denied => None,
    }
}

#[cfg(test)]
mod tests;
