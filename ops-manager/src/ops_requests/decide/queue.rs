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

use crate::ops_requests::rival::{Rival, RivalState};

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

pub(crate) fn turn(request: &PgpoolOpsRequest, rivals: &[Rival]) -> Turn {
    let me = Rival::new(request, &PgpoolOpsRequestStatus::default());
    let newer = rivals.iter().filter(|rival| {
        me.type_ != OpsType::Reconfigure
            && rival.type_ == me.type_
            && rival.is_waiting()
            && rival.is_newer_than(&me)
    });
    if let Some(newest) = newer.max_by(|a, b| a.created.cmp(&b.created).then(b.name.cmp(&a.name))) {
        return Turn::Superseded {
            by: newest.name.clone(),
        };
    }
    let open = rivals
        .iter()
        .filter(|rival| rival.is_open() && rival.type_ == me.type_ && rival.order() < me.order())
        .count();
    if me.type_ == OpsType::Reconfigure && open >= limits::OPEN_REQUESTS {
        return Turn::TooMany { open };
    }
    let is_behind = rivals.iter().any(|rival| {
        let earlier = rival.state == RivalState::Waiting && rival.order() < me.order();
        let superseded = rival.type_ == me.type_ && me.type_ != OpsType::Reconfigure;
        rival.state == RivalState::Running || (earlier && !superseded)
    });
    if is_behind { Turn::Behind } else { Turn::Mine }
}

/// Since when only its Pgpool prevents a request from starting: since its creation, or the end of the last other one.
pub(crate) fn free_since(request: &PgpoolOpsRequest, rivals: &[Rival]) -> Option<Timestamp> {
    let created = request.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let ends = rivals.iter().filter_map(|rival| match rival.state {
        RivalState::Ended(end) => end,
        RivalState::Waiting | RivalState::Held | RivalState::Running => None,
    });
    ends.chain(created).max()
}

#[cfg(test)]
mod tests;
