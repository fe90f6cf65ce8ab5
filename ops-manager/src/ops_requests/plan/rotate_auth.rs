//! `RotateAuth`: another password of the PCP user, made here or the user's.
//!
//! pgpool reads the password at each login to its control port, so no pod is replaced.

use shared_types::conditions::OpsCondition;
use shared_types::{PgpoolOpsRequest, PgpoolSpec};

use super::{Goal, Step, Task, edit, until};

/// The Secret with the credentials that come next, if the user has one.
pub(super) fn secret(request: &PgpoolOpsRequest) -> Option<&str> {
    let secret = request.spec.authentication.as_ref()?.secret_ref.as_ref()?;
    Some(&secret.name)
}

pub(super) fn steps(request: &PgpoolOpsRequest) -> Vec<Step> {
    let known = until(Goal::ControlPort, OpsCondition::ControlPortSynced);
    if secret(request).is_some() {
        return vec![edit(), until(Goal::Ready, OpsCondition::UpdateCredential), known];
    }
    let made = Step {
        milestone: OpsCondition::UpdateCredential,
        task: Task::NewPassword,
    };
    vec![made, known]
}

/// The Secret of before stays as it is, and with it the password of before.
pub(super) fn change(request: &PgpoolOpsRequest, spec: &mut PgpoolSpec) {
    if let Some(secret) = secret(request) {
        spec.auth_secret.get_or_insert_default().name = Some(secret.to_owned());
    }
}
