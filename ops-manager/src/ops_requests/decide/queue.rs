//! Which of the requests for one Pgpool is next. Pure.
//!
//! One operation runs at a time. Requests start in the order of their creation, except those that wait for their Pgpool:
//! others may pass them, since one of these may be what the Pgpool needs. Of several waiting requests of the same type
//! only the newest runs, except for changes of settings, which add up: of these, so many may be open.

use jiff::Timestamp;
use shared_types::PgpoolOpsRequest;
use shared_types::PgpoolOpsRequestStatus;
use shared_types::limits;
use shared_types::ops_request::OpsType;

use crate::ops_requests::competing_request::{CompetingRequest, RequestState};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Mine,
    /// After another request.
    Behind,
    /// So many open requests of its type are older.
    TooMany {
        open: usize,
    },
    /// Another request takes its place.
    Superseded {
        by: String,
    },
}

pub(crate) fn turn(request: &PgpoolOpsRequest, competing: &[CompetingRequest]) -> Turn {
    let me = CompetingRequest::new(request, &PgpoolOpsRequestStatus::default());
    let newer = competing.iter().filter(|other| {
        me.type_ != OpsType::Reconfigure
            && other.type_ == me.type_
            && other.is_waiting()
            && other.is_newer_than(&me)
    });
    if let Some(newest) = newer.max_by(|a, b| a.created.cmp(&b.created).then(b.name.cmp(&a.name))) {
        return Turn::Superseded {
            by: newest.name.clone(),
        };
    }
    let open = competing
        .iter()
        .filter(|other| other.is_open() && other.type_ == me.type_ && other.order() < me.order())
        .count();
    if me.type_ == OpsType::Reconfigure && open >= limits::OPEN_REQUESTS {
        return Turn::TooMany { open };
    }
    let is_behind = competing.iter().any(|other| {
        let earlier = other.state == RequestState::Waiting && other.order() < me.order();
        let superseded = other.type_ == me.type_ && me.type_ != OpsType::Reconfigure;
        other.state == RequestState::Running || (earlier && !superseded)
    });
    if is_behind { Turn::Behind } else { Turn::Mine }
}

/// Since when only its Pgpool prevents a request from starting: since its creation, or the end of the last other one.
pub(crate) fn free_since(request: &PgpoolOpsRequest, competing: &[CompetingRequest]) -> Option<Timestamp> {
    let created = request.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let ends = competing.iter().filter_map(|other| match other.state {
        RequestState::Ended(end) => end,
        RequestState::Waiting | RequestState::Held | RequestState::Running => None,
    });
    ends.chain(created).max()
}

#[cfg(test)]
mod tests;
