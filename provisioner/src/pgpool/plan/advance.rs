//! Lets the workload go as far as it may go now. Pure.

use jiff::Timestamp;
use shared_types::ClientAuthMode;

use super::{Workload, client_pair};
use crate::pgpool::build;
use crate::pgpool::observe::Observed;
use crate::pgpool::rollout::{Leaves, Step, View, step};
use crate::pgpool::validate::Validated;

/// Holds back the pods whose turn it is not.
pub(super) fn advance(
    validated: &Validated,
    observed: &Observed,
    workload: &mut Workload,
    now: Timestamp,
) -> Step {
    let live = &observed.live;
    let step = step(&View {
        desired: &workload.stateful_set,
        live: live.stateful_set.as_deref(),
        budget: live.pod_disruption_budget.as_deref(),
        pods: &observed.pods,
        standings: &observed.standings,
        leaves: &Leaves::of(&live.tls_copies),
        asked: asks(validated, observed, now),
        now,
    });
    build::hold_back(&mut workload.stateful_set, step.partition);
    step
}

/// Whether the pods are asked: not by a client certificate that is no good.
fn asks(validated: &Validated, observed: &Observed, now: Timestamp) -> bool {
    let by_certificate = validated.client_auth_mode == ClientAuthMode::Cert;
    !by_certificate || !observed.standings.is_empty() || client_pair(&observed.certificates, now).is_some()
}
