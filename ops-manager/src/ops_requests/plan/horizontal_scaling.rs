//! `HorizontalScaling`: another number of pods.

use shared_types::conditions::OpsCondition;
use shared_types::{PgpoolOpsRequest, PgpoolSpec};

use super::{Goal, Step, edit, until};

pub(super) fn steps() -> Vec<Step> {
    vec![edit(), until(Goal::Ready, OpsCondition::HorizontalScale)]
}

pub(super) fn change(request: &PgpoolOpsRequest, spec: &mut PgpoolSpec) {
    let asked = request
        .spec
        .horizontal_scaling
        .as_ref()
        .and_then(|scaling| scaling.node);
    if asked.is_some_and(|asked| asked != spec.replicas()) {
        spec.replicas = asked;
    }
}
