//! The phase: a summary of all conditions, including those of other writers. First match wins.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use shared_types::Phase;
use shared_types::conditions::{ConditionType, is_false, is_true};

/// Computes the phase from our new conditions, and all others as they are. The conditions named by strings here are set by
/// other tools of the same API.
pub(super) fn phase(ours: &[Condition], all: &[Condition]) -> Option<Phase> {
    let foreign = |name: &str, status: &str| all.iter().any(|it| it.type_ == name && it.status == status);
    let known = |name: &str| all.iter().any(|it| it.type_ == name);
    let provisioned = is_true(ours, ConditionType::Provisioned);
    if foreign("HealthCheckPaused", "True") {
        Some(Phase::Unknown)
    } else if foreign("Halted", "True") {
        Some(Phase::Halted)
    } else if foreign("DataRestored", "False") {
        Some(Phase::NotReady)
    } else if foreign("DataRestoreStarted", "True") && !known("DataRestored") {
        Some(Phase::DataRestoring)
    } else if provisioned && is_false(ours, ConditionType::AcceptingConnection) {
        Some(Phase::NotReady)
    } else if provisioned
        && (is_false(ours, ConditionType::ReplicaReady) || is_false(ours, ConditionType::Ready))
    {
        Some(Phase::Critical)
    } else if provisioned && is_true(ours, ConditionType::Ready) {
        Some(Phase::Ready)
    } else if is_true(ours, ConditionType::ProvisioningStarted) {
        Some(Phase::Provisioning)
    } else {
        None
    }
}
