//! Which part of the status of a `Pgpool` the provisioner writes. The rest belongs to ops-manager.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use shared_types::PgpoolStatus;
use shared_types::conditions::{ConditionType, find};

/// The conditions that this operator writes, in their order.
pub(crate) const OURS: [ConditionType; 12] = [
    ConditionType::ProvisioningStarted,
    ConditionType::ReplicaReady,
    ConditionType::AcceptingConnection,
    ConditionType::Ready,
    ConditionType::Provisioned,
    ConditionType::Monitored,
    ConditionType::Reconciling,
    ConditionType::Stalled,
    ConditionType::Initialized,
    ConditionType::UsersIncomplete,
    ConditionType::Unprotected,
    ConditionType::RotationHeld,
];

/// Returns this operator's part of a status, in the order in which it writes it.
pub(crate) fn ours(status: &PgpoolStatus) -> PgpoolStatus {
    PgpoolStatus {
        conditions: OURS
            .iter()
            .filter_map(|ty| find(&status.conditions, *ty).cloned())
            .collect(),
        certificates: Vec::new(),
        ..status.clone()
    }
}

/// Returns a status with this operator's part replaced.
pub(crate) fn over(whole: PgpoolStatus, part: PgpoolStatus) -> PgpoolStatus {
    let ours = |condition: &Condition| OURS.iter().any(|ty| ty.as_str() == condition.type_);
    let theirs = whole.conditions.into_iter().filter(|condition| !ours(condition));
    PgpoolStatus {
        conditions: part.conditions.into_iter().chain(theirs).collect(),
        certificates: whole.certificates,
        ..part
    }
}

/// Whether two statuses differ in messages only: such a change can wait a moment.
pub(crate) fn differ_in_messages_only(a: &PgpoolStatus, b: &PgpoolStatus) -> bool {
    let strip = |status: &PgpoolStatus| {
        let mut status = status.clone();
        status
            .conditions
            .iter_mut()
            .for_each(|condition| condition.message.clear());
        status
    };
    strip(a) == strip(b)
}
