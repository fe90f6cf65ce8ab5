//! `UpdateVersion`: another version of pgpool.

use shared_types::conditions::OpsCondition;
use shared_types::{PgpoolOpsRequest, PgpoolSpec};

use super::{Goal, Step, edit, until};

pub(super) fn steps() -> Vec<Step> {
    vec![edit(), until(Goal::Ready, OpsCondition::RestartPods)]
}

pub(super) fn change(request: &PgpoolOpsRequest, spec: &mut PgpoolSpec) {
    let asked = request
        .spec
        .update_version
        .as_ref()
        .and_then(|update| update.target_version.clone());
    if let Some(asked) = asked {
        spec.version = asked;
    }
}
