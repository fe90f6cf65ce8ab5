//! `RotateAuth`: a new password of the PCP user, generated or provided by the user.
//!
//! pgpool reads the password at each login to its control port, so no pod is replaced.

use jiff::Timestamp;
use kube::ResourceExt;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::explanation::Explanation;
use shared_types::owned_names::conflict_of_auth_secret;
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolSpec, names};

use super::{Goal, Operation, Step, Task, edit, reject_secret, wait_for};
use crate::ops_requests::observe::{Referenced, References};

pub(super) struct RotateAuth;

impl Operation for RotateAuth {
    fn steps(&self, request: &PgpoolOpsRequest) -> Vec<Step> {
        let synced = wait_for(Goal::ControlPort, OpsCondition::ControlPortSynced);
        if secret(request).is_some() {
            let ready = wait_for(Goal::Ready, OpsCondition::UpdateCredential);
            return vec![edit(), ready, synced];
        }
        let new_password = Step {
            condition: OpsCondition::UpdateCredential,
            task: Task::NewPassword,
        };
        vec![new_password, synced]
    }

    /// The Secret used so far stays as it is, with its password.
    fn change(&self, request: &PgpoolOpsRequest, _start: Timestamp, spec: &mut PgpoolSpec) {
        if let Some(secret) = secret(request) {
            spec.auth_secret.get_or_insert_default().name = Some(secret.to_owned());
        }
    }

    fn references<'a>(&self, request: &'a PgpoolOpsRequest) -> References<'a> {
        References {
            secret: secret(request).map(|name| (name, "password")),
            ..References::default()
        }
    }

    fn reject(
        &self,
        request: &PgpoolOpsRequest,
        pgpool: &Pgpool,
        referenced: &Referenced,
    ) -> Option<Explanation<OpsReason>> {
        let auth_secret = pgpool.spec.auth_secret.as_ref();
        let is_external = auth_secret.is_some_and(|secret| secret.externally_managed == Some(true));
        if secret(request).is_none() && is_external {
            let name = names::auth_secret(pgpool);
            return Some(Explanation::new(
                OpsReason::SecretExternallyManaged,
                format!(
                    "Secret {name} is managed externally (spec.authSecret.externallyManaged is true): change its \
                     password there, or name another Secret in spec.authentication.secretRef"
                ),
            ));
        }
        let role = secret(request).and_then(|name| conflict_of_auth_secret(pgpool, name));
        role.map(|role| {
            Explanation::new(
                OpsReason::SecretInvalid,
                format!(
                    "spec.authentication.secretRef names {} of Pgpool {}: name another Secret",
                    role.describe(),
                    pgpool.name_any()
                ),
            )
        })
        .or_else(|| reject_secret(referenced))
    }
}

/// The user's Secret with the new credentials.
fn secret(request: &PgpoolOpsRequest) -> Option<&str> {
    let secret = request.spec.authentication.as_ref()?.secret_ref.as_ref()?;
    Some(&secret.name)
}
