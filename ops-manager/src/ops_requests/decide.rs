//! Decides what comes next for a request. Pure.

mod expiry;
mod goals;
mod queue;

use std::time::Duration;

use jiff::Timestamp;
use shared_types::PgpoolOpsRequestStatus;
use shared_types::conditions::OpsReason;
use shared_types::explanation::Explanation;
use shared_types::ops_request::ReplacedCertificate;
use shared_types::{Alias, PgpoolOpsRequest};

use super::competing_request::CompetingRequest;
use super::observe::Facts;
use super::operations::{Goal, Step, Task, operation};
use super::resolution::{Resolution, time_left, timed_out};
use super::status;
use crate::cert_manager::Certificate;
use queue::Turn;

pub(crate) use expiry::{Expiry, expiry};
pub(crate) use queue::free_since;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    Do(&'a Step),
    /// A step that waited is done.
    Done {
        step: &'a Step,
        message: String,
    },
    /// Nothing more in this pass.
    Stop(Resolution),
}

/// Why a request does not start now, given whether it may start on its own. `None` when it starts.
pub(crate) fn start(
    request: &PgpoolOpsRequest,
    competing: &[CompetingRequest],
    admission: Option<Resolution>,
) -> Option<Resolution> {
    let turn = queue::turn(request, competing);
    if let Turn::Superseded { by } = turn {
        return Some(Resolution::Skipped {
            message: format!("PgpoolOpsRequest {by} of the same type is newer and replaces this one"),
        });
    }
    if let Turn::TooMany { open } = turn {
        let message = format!(
            "{open} requests of this type for Pgpool {} are open, and no more are accepted: wait until one has finished, or \
             delete one, then create this one again",
            request.spec.database_ref.name
        );
        return Some(Resolution::failed(OpsReason::TooManyRequests, message));
    }
    match (admission, turn) {
        (Some(resolution), _) => Some(resolution),
        // The same words while others finish: only the request that is next is reconciled then.
        (None, Turn::Behind) => Some(Resolution::waiting(
            OpsReason::Queued,
            format!(
                "Waiting for other requests for Pgpool {}: one operation at a time, in the order of creation",
                request.spec.database_ref.name
            ),
        )),
        (None, _) => None,
    }
}

/// The certificates to replace, as they are before the request starts.
pub(crate) fn certificates_to_replace(request: &PgpoolOpsRequest, facts: &Facts) -> Vec<ReplacedCertificate> {
    if !operation(request).replaces_certificates(request) {
        return Vec::new();
    }
    Alias::ALL
        .iter()
        .map(|alias| facts.current_certificate(*alias))
        .collect()
}

/// Whether a certificate has been issued since it was recorded in the status.
pub(crate) fn is_replaced(replaced: &ReplacedCertificate, certificate: &Certificate) -> bool {
    certificate.revision() > replaced.revision
}

/// Whether the next step waits for pgpool's password file, which is read only then.
pub(crate) fn needs_control_port(steps: &[Step], status: &PgpoolOpsRequestStatus) -> bool {
    next_step(steps, status).is_some_and(|step| step.task == Task::Await(Goal::ControlPort))
}

fn next_step<'a>(steps: &'a [Step], status: &PgpoolOpsRequestStatus) -> Option<&'a Step> {
    steps.iter().find(|step| !status::is_done(status, step.condition))
}

pub(crate) fn next<'a>(
    request: &PgpoolOpsRequest,
    steps: &'a [Step],
    status: &PgpoolOpsRequestStatus,
    facts: &Facts,
    now: Timestamp,
) -> Next<'a> {
    let name = &request.spec.database_ref.name;
    let Some(step) = next_step(steps, status) else {
        let message = format!("All requested changes to Pgpool {name} are complete");
        return Next::Stop(Resolution::Successful { message });
    };
    let Some(pgpool) = facts.pgpool.as_deref() else {
        let message = format!("Pgpool {name} no longer exists");
        return Next::Stop(Resolution::failed(OpsReason::PgpoolNotFound, message));
    };
    let left = time_left(request, status::last_step(status), now);
    let is_late = left == Some(Duration::ZERO);
    let Task::Await(goal) = step.task else {
        if is_late {
            let waited_for = "the API server has not accepted the change";
            return Next::Stop(timed_out(request, waited_for));
        }
        return Next::Do(step);
    };
    match goals::check(goal, pgpool, status, facts) {
        Ok(message) => Next::Done { step, message },
        Err(Resolution::Waiting(Explanation { message, .. })) if is_late => {
            Next::Stop(timed_out(request, &message))
        }
        Err(Resolution::Waiting(explanation)) => Next::Stop(Resolution::Waiting(explanation.after(left))),
        Err(resolution) => Next::Stop(resolution),
    }
}

#[cfg(test)]
mod tests;
