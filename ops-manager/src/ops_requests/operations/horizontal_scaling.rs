//! `HorizontalScaling`: another number of pods.

use jiff::Timestamp;
use shared_types::conditions::OpsCondition;
use shared_types::{PgpoolOpsRequest, PgpoolSpec};

use super::{Goal, Operation, Step, edit, wait_for};

pub(super) struct HorizontalScaling;

impl Operation for HorizontalScaling {
    fn steps(&self, _request: &PgpoolOpsRequest) -> Vec<Step> {
        vec![edit(), wait_for(Goal::Ready, OpsCondition::HorizontalScale)]
    }

    fn change(&self, request: &PgpoolOpsRequest, _start: Timestamp, spec: &mut PgpoolSpec) {
        let scaling = request.spec.horizontal_scaling.as_ref();
        let replicas = scaling.and_then(|scaling| scaling.node);
        if replicas.is_some_and(|replicas| replicas != spec.replicas()) {
            spec.replicas = replicas;
        }
    }
}
