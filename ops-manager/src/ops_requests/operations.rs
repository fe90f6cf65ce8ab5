//! One type of request per file: its steps, and the change of the spec that it makes. Pure.
//!
//! The steps follow from the request alone. A step either does something, which can be found done later, or waits for a
//! goal. The first step whose condition does not hold is next.

mod horizontal_scaling;
mod reconfigure;
mod reconfigure_tls;
mod restart;
mod rotate_auth;
mod update_version;
mod vertical_scaling;

use jiff::Timestamp;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::explanation::Explanation;
use shared_types::ops_request::OpsType;
use shared_types::{Pgpool, PgpoolOpsRequest, PgpoolSpec};

use super::observe::{Referenced, ReferencedSecret, References, SecretState};

pub(crate) trait Operation: Sync {
    fn steps(&self, request: &PgpoolOpsRequest) -> Vec<Step>;

    /// Changes the spec of the Pgpool for a request that started at `start`. A second time changes nothing more.
    fn change(&self, request: &PgpoolOpsRequest, start: Timestamp, spec: &mut PgpoolSpec);

    /// What has to be read before it is known whether the request can succeed.
    fn references<'a>(&self, _request: &'a PgpoolOpsRequest) -> References<'a> {
        References::default()
    }

    /// Why the request can never succeed.
    fn reject(
        &self,
        _request: &PgpoolOpsRequest,
        _pgpool: &Pgpool,
        _referenced: &Referenced,
    ) -> Option<Explanation<OpsReason>> {
        None
    }

    /// What people should know about the change besides what has changed. Completes a sentence.
    fn remark(&self, _request: &PgpoolOpsRequest) -> &'static str {
        ""
    }

    /// Whether certificates are to be replaced although their specs stay the same.
    fn replaces_certificates(&self, _request: &PgpoolOpsRequest) -> bool {
        false
    }
}

/// The operation that a request asks for.
pub(crate) fn operation(request: &PgpoolOpsRequest) -> &'static dyn Operation {
    match request.spec.type_ {
        OpsType::Restart => &restart::Restart,
        OpsType::HorizontalScaling => &horizontal_scaling::HorizontalScaling,
        OpsType::VerticalScaling => &vertical_scaling::VerticalScaling,
        OpsType::Reconfigure => &reconfigure::Reconfigure,
        OpsType::UpdateVersion => &update_version::UpdateVersion,
        OpsType::ReconfigureTls => &reconfigure_tls::ReconfigureTls,
        OpsType::RotateAuth => &rotate_auth::RotateAuth,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The condition that is set when it is done.
    pub(crate) condition: OpsCondition,
    pub(crate) task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Change the spec of the Pgpool.
    Edit,
    /// Give the PCP user a new password.
    NewPassword,
    /// Reissue every certificate.
    Renew,
    /// Wait for a goal.
    Await(Goal),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The Pgpool matches its spec and is ready.
    Ready,
    /// Every certificate matches the spec.
    CertificatesMatch,
    /// As `CertificatesMatch`, and each certificate that was to be replaced is another one.
    CertificatesReplaced,
    /// Both `Ready` and `CertificatesReplaced`, and every pod serves the new certificate.
    CertificatesServed,
    /// pgpool's password file has the new password.
    ControlPort,
}

fn edit() -> Step {
    Step {
        condition: OpsCondition::UpdateDatabase,
        task: Task::Edit,
    }
}

fn wait_for(goal: Goal, condition: OpsCondition) -> Step {
    Step {
        condition,
        task: Task::Await(goal),
    }
}

/// The Secret that a request names exists and has the key.
fn reject_secret(referenced: &Referenced) -> Option<Explanation<OpsReason>> {
    let ReferencedSecret { title, key, state } = referenced.secret.as_ref()?;
    match state {
        SecretState::Absent => Some(Explanation::new(
            OpsReason::SecretNotFound,
            format!("Secret {title} does not exist: create it with key {key}"),
        )),
        SecretState::WithoutKey => Some(Explanation::new(
            OpsReason::SecretInvalid,
            format!("Secret {title} has no value under the key {key}: add it first"),
        )),
        SecretState::Complete => None,
    }
}

#[cfg(test)]
mod tests;
