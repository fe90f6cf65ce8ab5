//! The status of a request: which steps are done, what it waits for, how it ended. Pure.
//!
//! Steps come first, in the order in which they were done; then what the request waits for, while it does; the end is last.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use operator_runtime::Outcome;
use shared_types::conditions::{OpsCondition, OpsReason, Status, cut};
use shared_types::ops_request::{OpsPhase, ReplacedCertificate};
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus};

use super::plan::Step;
use super::status::{find, has_ended, has_started, is_done};

/// What a reconcile came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on when something happens.
    Waits {
        /// One word why.
        reason: OpsReason,
        /// A sentence why.
        message: String,
        /// When to look again, if nothing happens before.
        after: Option<Duration>,
    },
    /// Everything is done.
    Successful {
        /// A sentence that sums up.
        message: String,
    },
    /// It is given up.
    Failed {
        /// One word why.
        reason: OpsReason,
        /// A sentence why, and what helps.
        message: String,
    },
    /// It is not wanted any more.
    Skipped {
        /// A sentence why.
        message: String,
    },
}

impl Verdict {
    /// Another request comes first.
    pub(crate) fn queued(other: &str) -> Self {
        Self::Waits {
            reason: OpsReason::Queued,
            message: format!("Waits for PgpoolOpsRequest {other}: one operation at a time"),
            after: None,
        }
    }

    /// Another request takes its place.
    pub(crate) fn skipped(by: &str) -> Self {
        Self::Skipped {
            message: format!(
                "PgpoolOpsRequest {by} asks for an operation of the same type later, and takes the place of this one"
            ),
        }
    }

    /// What the controller does next.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Waits { reason, after, .. } => Outcome::Waiting {
                reason: reason.as_str(),
                after: *after,
            },
            Self::Successful { .. } | Self::Failed { .. } | Self::Skipped { .. } => Outcome::Converged,
        }
    }
}

/// When the request started; `None` before.
pub(crate) fn begin(request: &PgpoolOpsRequest, status: &PgpoolOpsRequestStatus) -> Option<Timestamp> {
    let condition = find(status, request.spec.type_.condition())?;
    Some(condition.last_transition_time.0)
}

/// The status of a request that has not begun.
pub(crate) fn unbegun(
    request: &PgpoolOpsRequest,
    standing: &PgpoolOpsRequestStatus,
    verdict: &Verdict,
    now: Timestamp,
) -> PgpoolOpsRequestStatus {
    let mut status = standing.clone();
    settled(request, &mut status, &[], verdict, now);
    if !has_ended(&status) {
        status.phase = Some(OpsPhase::Pending);
    }
    status
}

/// The status of a request that begins now.
pub(crate) fn begun(
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
    let message = format!("The operation on Pgpool {pgpool} has begun");
    put(request, &mut status, title, true, title.as_str(), message, now);
    let message = "The first step is being carried out".to_owned();
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

/// Notes that a step is done.
pub(crate) fn reached(
    request: &PgpoolOpsRequest,
    status: &mut PgpoolOpsRequestStatus,
    step: OpsCondition,
    message: String,
    now: Timestamp,
) {
    put(request, status, step, true, step.as_str(), message, now);
}

/// Notes what a reconcile came to.
pub(crate) fn settled(
    request: &PgpoolOpsRequest,
    status: &mut PgpoolOpsRequestStatus,
    steps: &[Step],
    verdict: &Verdict,
    now: Timestamp,
) {
    status.observed_generation = request.metadata.generation;
    let tell = |status: &mut _, ty, holds, reason: &str, message: &str| {
        put(request, status, ty, holds, reason, message.to_owned(), now);
    };
    if let Verdict::Waits { reason, message, .. } = verdict {
        return tell(status, OpsCondition::Reconciling, true, reason.as_str(), message);
    }
    let waiting = |condition: &Condition| condition.type_ == OpsCondition::Reconciling.as_str();
    status.conditions.retain(|condition| !waiting(condition));
    let (phase, last, reason, message) = match verdict {
        Verdict::Successful { message } => {
            let last = OpsCondition::Successful;
            (OpsPhase::Successful, last, last.as_str(), message)
        }
        Verdict::Skipped { message } => {
            let reason = OpsReason::Superseded.as_str();
            (OpsPhase::Skipped, OpsCondition::Skipped, reason, message)
        }
        Verdict::Failed { reason, message } => {
            let undone = steps.iter().find(|step| !is_done(status, step.milestone));
            if let Some(undone) = undone.filter(|_| has_started(status)) {
                tell(status, undone.milestone, false, reason.as_str(), message);
            }
            tell(status, OpsCondition::Stalled, true, reason.as_str(), message);
            (OpsPhase::Failed, OpsCondition::Failed, reason.as_str(), message)
        }
        // Told above.
        Verdict::Waits { .. } => return,
    };
    tell(status, last, true, reason, message);
    status.phase = Some(phase);
}

/// Sets a condition. Its time moves with its status alone; what the request waits for stays the last.
fn put(
    request: &PgpoolOpsRequest,
    status: &mut PgpoolOpsRequestStatus,
    ty: OpsCondition,
    holds: bool,
    reason: &str,
    message: String,
    now: Timestamp,
) {
    let word = Status::from(holds).as_str();
    // The API server stores whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let before = find(status, ty).filter(|before| before.status == word);
    let condition = Condition {
        type_: ty.as_str().to_owned(),
        status: word.to_owned(),
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
    // Stable: the steps keep their order.
    conditions.sort_by_key(is_waiting);
}

/// What people are told when a request begins or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    /// The reason of the event.
    pub(crate) reason: &'static str,
    /// Its text.
    pub(crate) message: String,
    /// A person should look at it.
    pub(crate) trouble: bool,
}

/// What people are told of a status that has just got its phase; nothing of one that waits.
pub(crate) fn news(status: &PgpoolOpsRequestStatus) -> Option<News> {
    let end = |ty: OpsCondition, trouble| {
        let message = find(status, ty)
            .map(|condition| condition.message.clone())
            .unwrap_or_default();
        Some(News {
            reason: ty.as_str(),
            message,
            trouble,
        })
    };
    match status.phase? {
        OpsPhase::Successful => end(OpsCondition::Successful, false),
        OpsPhase::Failed => end(OpsCondition::Failed, true),
        OpsPhase::Skipped => end(OpsCondition::Skipped, false),
        OpsPhase::Progressing => Some(News {
            reason: "Starting",
            message: status.conditions.first()?.message.clone(),
            trouble: false,
        }),
        OpsPhase::Pending | OpsPhase::WaitingForApproval | OpsPhase::Approved | OpsPhase::Denied => None,
    }
}

#[cfg(test)]
mod tests;
