//! Whether a request may start: what it needs exists, what it requests is possible, and its Pgpool is in a state for it.
//! Pure.

use jiff::Timestamp;
use shared_types::conditions::OpsReason;
use shared_types::explanation::Explanation;
use shared_types::ops_request::ApplyOption;
use shared_types::{Pgpool, PgpoolOpsRequest, Phase};

use super::observe::Referenced;
use super::operations::operation;
use super::resolution::{Resolution, wait_or_time_out};

/// Why a request may not start, other requests aside. `None` when it may. `since` is when only its Pgpool has prevented it
/// from starting.
pub(crate) fn validate(
    request: &PgpoolOpsRequest,
    pgpool: Option<&Pgpool>,
    referenced: &Referenced,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Option<Resolution> {
    let name = &request.spec.database_ref.name;
    let Some(pgpool) = pgpool.filter(|pgpool| pgpool.metadata.deletion_timestamp.is_none()) else {
        let message = format!("Waiting for Pgpool {name} to be created");
        let explanation = Explanation::new(OpsReason::PgpoolNotFound, message);
        return Some(wait_or_time_out(request, explanation, since, now));
    };
    if let Some(explanation) = operation(request).reject(request, pgpool, referenced) {
        return Some(Resolution::Failed(explanation));
    }
    if request.spec.apply.unwrap_or_default() == ApplyOption::Always || is_ready(pgpool) {
        return None;
    }
    let phase = pgpool.status.as_ref().and_then(|status| status.phase);
    let phase = phase.map_or("without a phase".to_owned(), |phase| format!("{phase:?}"));
    let message = format!(
        "Waiting for Pgpool {name} to become Ready; it is {phase}. With spec.apply Always a request does not wait for that"
    );
    let explanation = Explanation::new(OpsReason::PgpoolNotReady, message);
    Some(wait_or_time_out(request, explanation, since, now))
}

fn is_ready(pgpool: &Pgpool) -> bool {
    let status = pgpool.status.as_ref();
    status.is_some_and(|status| {
        status.phase == Some(Phase::Ready) && status.observed_generation >= pgpool.metadata.generation
    })
}

#[cfg(test)]
mod tests;
