//! Whose turn it is among the requests for one Pgpool. Pure.
//!
//! One operation runs at a time. Others begin in the order in which they were created, but for those that wait for
//! their Pgpool: they let others pass, for one of these may be what the Pgpool needs. Of several that wait with the same
//! type only the newest is wanted, except for changes of settings, which add up.

use jiff::Timestamp;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::ops_request::{OpsPhase, OpsType};
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus};

use super::status;

/// Another request for the same Pgpool, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rival {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) type_: OpsType,
    /// When it was created.
    pub(crate) created: Option<Timestamp>,
    /// Where it stands.
    pub(crate) stand: Stand,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It has not begun.
    Waits,
    /// It has not begun, and its Pgpool is in no state for it.
    Held,
    /// It runs.
    Runs,
    /// It is over, since then.
    Over(Option<Timestamp>),
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// That of the request that was asked about.
    Mine,
    /// That of another.
    Behind {
        /// Its name.
        other: String,
    },
    /// The request is not wanted any more.
    Superseded {
        /// The request that takes its place.
        by: String,
    },
}

impl Rival {
    /// Describes a request whose status stands so.
    pub(crate) fn new(request: &PgpoolOpsRequest, status: &PgpoolOpsRequestStatus) -> Self {
        let stand = match status.phase {
            _ if status::has_ended(status) => Stand::Over(ended(status)),
            Some(OpsPhase::Progressing) => Stand::Runs,
            _ if is_held(status) => Stand::Held,
            _ => Stand::Waits,
        };
        Self {
            name: request.metadata.name.clone().unwrap_or_default(),
            type_: request.spec.type_,
            created: request.metadata.creation_timestamp.as_ref().map(|time| time.0),
            stand,
        }
    }

    fn waits(&self) -> bool {
        matches!(self.stand, Stand::Waits | Stand::Held)
    }

    /// The place in the order of creation. Times are whole seconds, so names decide among equals, the smallest first:
    /// that is also the one that counts as the newest of its type.
    fn place(&self) -> (Option<Timestamp>, &str) {
        (self.created, &self.name)
    }

    fn is_newer_than(&self, other: &Self) -> bool {
        self.created > other.created || (self.created == other.created && self.name < other.name)
    }
}

fn is_held(status: &PgpoolOpsRequestStatus) -> bool {
    let waits = |condition: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        condition.type_ == OpsCondition::Reconciling.as_str()
    };
    let held = [OpsReason::PgpoolNotFound, OpsReason::PgpoolNotReady].map(OpsReason::as_str);
    let waiting = status.conditions.iter().find(waits);
    waiting.is_some_and(|condition| held.contains(&condition.reason.as_str()))
}

fn ended(status: &PgpoolOpsRequestStatus) -> Option<Timestamp> {
    status
        .conditions
        .iter()
        .map(|condition| condition.last_transition_time.0)
        .max()
}

/// Decides whose turn it is.
pub(crate) fn turn(request: &PgpoolOpsRequest, rivals: &[Rival]) -> Turn {
    let me = Rival::new(request, &PgpoolOpsRequestStatus::default());
    let newer = rivals.iter().filter(|rival| {
        me.type_ != OpsType::Reconfigure
            && rival.type_ == me.type_
            && rival.waits()
            && rival.is_newer_than(&me)
    });
    if let Some(newest) = newer.max_by(|a, b| a.created.cmp(&b.created).then(b.name.cmp(&a.name))) {
        return Turn::Superseded {
            by: newest.name.clone(),
        };
    }
    let first = rivals
        .iter()
        .filter(|rival| {
            let earlier = rival.stand == Stand::Waits && rival.place() < me.place();
            let superseded = rival.type_ == me.type_ && me.type_ != OpsType::Reconfigure;
            rival.stand == Stand::Runs || (earlier && !superseded)
        })
        .min_by_key(|rival| (rival.stand != Stand::Runs, rival.place()));
    match first {
        Some(first) => Turn::Behind {
            other: first.name.clone(),
        },
        None => Turn::Mine,
    }
}

/// Since when nothing but its Pgpool keeps a request from beginning: since it was created, or the last other one ended.
pub(crate) fn free_since(request: &PgpoolOpsRequest, rivals: &[Rival]) -> Option<Timestamp> {
    let created = request.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let ends = rivals.iter().filter_map(|rival| match rival.stand {
        Stand::Over(end) => end,
        Stand::Waits | Stand::Held | Stand::Runs => None,
    });
    ends.chain(created).max()
}

#[cfg(test)]
mod tests;
