//! Questions that the status of a request answers. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use shared_types::conditions::{OpsCondition, Status};
use shared_types::ops_request::OpsPhase;
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus};

/// Successful or not, it has ended: nothing more is done about it.
pub(crate) fn has_ended(status: &PgpoolOpsRequestStatus) -> bool {
    matches!(
        status.phase,
        Some(OpsPhase::Successful | OpsPhase::Failed | OpsPhase::Skipped | OpsPhase::Denied)
    )
}

/// Something may have been changed already.
pub(crate) fn has_started(status: &PgpoolOpsRequestStatus) -> bool {
    has_ended(status) || status.phase == Some(OpsPhase::Progressing)
}

pub(crate) fn find(status: &PgpoolOpsRequestStatus, type_: OpsCondition) -> Option<&Condition> {
    let mut conditions = status.conditions.iter();
    conditions.find(|condition| condition.type_ == type_.as_str())
}

/// The step with this condition is done.
pub(crate) fn is_done(status: &PgpoolOpsRequestStatus, type_: OpsCondition) -> bool {
    find(status, type_).is_some_and(|condition| condition.status == Status::True.as_str())
}

/// When the last step was done: the next one has been running since.
pub(crate) fn last_step(status: &PgpoolOpsRequestStatus) -> Option<Timestamp> {
    let done = status.conditions.iter().filter(|condition| {
        condition.type_ != OpsCondition::Reconciling.as_str() && condition.status == Status::True.as_str()
    });
    done.map(|condition| condition.last_transition_time.0).max()
}

/// When the request started; `None` before.
pub(crate) fn start_time(request: &PgpoolOpsRequest, status: &PgpoolOpsRequestStatus) -> Option<Timestamp> {
    let condition = find(status, request.spec.type_.condition())?;
    Some(condition.last_transition_time.0)
}
