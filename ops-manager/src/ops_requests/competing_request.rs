//! A request among the others for the same Pgpool. Pure.

use jiff::Timestamp;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::ops_request::{OpsPhase, OpsType};
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus};

use super::status;

/// Another request for the same Pgpool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompetingRequest {
    pub(crate) name: String,
    pub(crate) type_: OpsType,
    pub(crate) created: Option<Timestamp>,
    pub(crate) state: RequestState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestState {
    Waiting,
    /// It has not started because its Pgpool is missing or not ready.
    Held,
    Running,
    /// With the time of its end.
    Ended(Option<Timestamp>),
}

impl CompetingRequest {
    pub(crate) fn new(request: &PgpoolOpsRequest, status: &PgpoolOpsRequestStatus) -> Self {
        let state = match status.phase {
            _ if status::has_ended(status) => RequestState::Ended(ended(status)),
            Some(OpsPhase::Progressing) => RequestState::Running,
            _ if is_held(status) => RequestState::Held,
            _ => RequestState::Waiting,
        };
        Self {
            name: request.metadata.name.clone().unwrap_or_default(),
            type_: request.spec.type_,
            created: request.metadata.creation_timestamp.as_ref().map(|time| time.0),
            state,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, RequestState::Ended(_))
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, RequestState::Waiting | RequestState::Held)
    }

    /// The order of creation. Times are whole seconds, so names decide among equals, the smallest first: that one also
    /// counts as the newest of its type.
    pub(crate) fn order(&self) -> (Option<Timestamp>, &str) {
        (self.created, &self.name)
    }

    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        self.created > other.created || (self.created == other.created && self.name < other.name)
    }
}

fn is_held(status: &PgpoolOpsRequestStatus) -> bool {
    let held = [OpsReason::PgpoolNotFound, OpsReason::PgpoolNotReady].map(OpsReason::as_str);
    let reconciling = status::find(status, OpsCondition::Reconciling);
    reconciling.is_some_and(|condition| held.contains(&condition.reason.as_str()))
}

/// When a request has finished, and its name: the order in which finished requests are deleted. `None` of an open one.
pub(crate) fn finished(request: &PgpoolOpsRequest) -> Option<(Timestamp, &str)> {
    let status = request
        .status
        .as_ref()
        .filter(|status| status::has_ended(status))?;
    Some((ended(status)?, request.metadata.name.as_deref()?))
}

fn ended(status: &PgpoolOpsRequestStatus) -> Option<Timestamp> {
    status
        .conditions
        .iter()
        .map(|condition| condition.last_transition_time.0)
        .max()
}
