//! Whether a request may start: what it needs exists, what it requests is possible, and its Pgpool is in a state for it.
//! Pure.

use jiff::Timestamp;
use shared_types::conditions::OpsReason;
use shared_types::explanation::Explanation;
use shared_types::ops_request::ApplyOption;
use shared_types::ops_request::OpsType;
use shared_types::policies::PolicyState;
use shared_types::{Pgpool, PgpoolOpsRequest, Phase};

use super::observe::{Referenced, Rights};
use super::operations::operation;
use super::resolution::{Resolution, wait_or_time_out};

/// Why a request may not start, other requests aside. `None` when it may. `since` is when only its Pgpool has prevented it
/// from starting.
pub(crate) fn validate(
    request: &PgpoolOpsRequest,
    pgpool: Option<&Pgpool>,
    referenced: &Referenced,
    rights: &Rights,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Option<Resolution> {
    let name = &request.spec.database_ref.name;
    let Some(pgpool) = pgpool.filter(|pgpool| pgpool.metadata.deletion_timestamp.is_none()) else {
        let message = format!("Waiting for Pgpool {name} to be created");
        let explanation = Explanation::new(OpsReason::PgpoolNotFound, message);
        return Some(wait_or_time_out(request, explanation, since, now));
    };
    if let Some(explanation) = rights_not_checked(request, rights) {
        return Some(Resolution::Failed(explanation));
    }
    if let Some(explanation) = operation(request).reject(request, pgpool, referenced) {
        return Some(Resolution::Failed(explanation));
    }
    if request.spec.apply.unwrap_or_default() == ApplyOption::Always || is_ready(pgpool) {
        return None;
    }
    let phase = pgpool.status.as_ref().and_then(|status| status.phase);
    let phase = phase.map_or("without a phase".to_owned(), |phase| format!("{phase:?}"));
    let message = format!(
        "Waiting for Pgpool {name} to become Ready; it is {phase}. \
         With spec.apply set to Always, a request does not wait for this"
    );
    let explanation = Explanation::new(OpsReason::PgpoolNotReady, message);
    Some(wait_or_time_out(request, explanation, since, now))
}

/// A request is carried out with the rights of this operator. It fails rather than waits: nobody will ever know whether its
/// author had the rights to it.
fn rights_not_checked(request: &PgpoolOpsRequest, rights: &Rights) -> Option<Explanation<OpsReason>> {
    if !edits(request) {
        return None;
    }
    let why = match &rights.state {
        PolicyState::Trusted => return None,
        PolicyState::Missing(missing) => format!("{missing}; install or upgrade the chart pgpool-crds, and"),
        PolicyState::InForce => {
            let created = request.metadata.creation_timestamp.as_ref().map(|time| time.0);
            if created >= rights.since {
                return None;
            }
            "the policy about requests is newer than this request;".to_owned()
        }
    };
    let message = format!(
        "It was not checked whether the author of this request may change the Pgpool: {why} create the request again"
    );
    Some(Explanation::new(OpsReason::RightsNotChecked, message))
}

/// Whether the request needs more than the right to create requests. The policy says the same.
fn edits(request: &PgpoolOpsRequest) -> bool {
    match request.spec.type_ {
        OpsType::Restart | OpsType::HorizontalScaling => false,
        OpsType::VerticalScaling => {
            let node = request
                .spec
                .vertical_scaling
                .as_ref()
                .and_then(|it| it.node.as_ref());
            let moves = node.is_some_and(|node| {
                let policy = node.node_selection_policy.as_deref().unwrap_or_default();
                node.topology.is_some() || !policy.is_empty()
            });
            moves || request.spec.configuration.is_some()
        }
        OpsType::UpdateVersion | OpsType::Reconfigure | OpsType::ReconfigureTls | OpsType::RotateAuth => true,
    }
}

fn is_ready(pgpool: &Pgpool) -> bool {
    let status = pgpool.status.as_ref();
    status.is_some_and(|status| {
        status.phase == Some(Phase::Ready) && status.observed_generation >= pgpool.metadata.generation
    })
}

#[cfg(test)]
mod tests;
