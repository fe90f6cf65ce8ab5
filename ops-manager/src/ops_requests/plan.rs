//! What is to be done for a request, and what of it comes next. Pure.
//!
//! Each operation is a list of steps that follows from the request alone. A step either does something, which leaves its
//! trace where it is done, or waits until something can be seen. The first step whose condition does not hold is next.

mod goals;
mod horizontal_scaling;
mod reconfigure;
mod reconfigure_tls;
mod restart;
mod rotate_auth;
mod update_version;
mod vertical_scaling;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared_types::conditions::{OpsCondition, OpsReason};
use shared_types::ops_request::{OpsType, ReplacedCertificate};
use shared_types::{Alias, Pgpool, PgpoolOpsRequest, PgpoolOpsRequestStatus, PgpoolSpec};

use super::report::Verdict;
use super::status;
use crate::cert_manager::Certificate;
use goals::Sight;

/// What can be seen of the cluster.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    /// The Pgpool, without its pod template.
    pub(crate) pgpool: Option<Arc<Pgpool>>,
    /// Its Certificates.
    pub(crate) certificates: BTreeMap<Alias, Arc<Certificate>>,
    /// Whether the file by which pgpool knows the PCP user holds what the Secret holds; `None` when nobody has looked.
    pub(crate) control_port: Option<bool>,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The condition that tells that it is done.
    pub(crate) milestone: OpsCondition,
    /// What it is.
    pub(crate) task: Task,
}

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// The spec of the Pgpool is changed.
    Edit,
    /// The PCP user gets a new password.
    NewPassword,
    /// cert-manager is asked for every certificate anew.
    Reissue,
    /// Waits until something can be seen.
    Await(Goal),
}

/// What can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The Pgpool is as its spec asks, and ready.
    Ready,
    /// Every certificate is as its spec asks.
    Fits,
    /// As `Fits`, and each that was to be replaced is another than before.
    Issued,
    /// As `Ready` and `Issued`, and every pod serves the certificate that was issued.
    Served,
    /// pgpool's own file knows the password.
    ControlPort,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A step that does something.
    Do(&'a Step),
    /// A step that waited is over.
    Reached {
        /// The step.
        step: &'a Step,
        /// What was seen.
        message: String,
    },
    /// Nothing until something happens.
    Waits(Verdict),
    /// Nothing at all.
    Ends(Verdict),
}

/// The steps of a request, in their order.
pub(crate) fn steps(request: &PgpoolOpsRequest) -> Vec<Step> {
    match request.spec.type_ {
        OpsType::Restart => restart::steps(),
        OpsType::HorizontalScaling => horizontal_scaling::steps(),
        OpsType::VerticalScaling => vertical_scaling::steps(request),
        OpsType::Reconfigure => reconfigure::steps(),
        OpsType::UpdateVersion => update_version::steps(),
        OpsType::ReconfigureTls => reconfigure_tls::steps(request),
        OpsType::RotateAuth => rotate_auth::steps(request),
    }
}

fn edit() -> Step {
    Step {
        milestone: OpsCondition::UpdateDatabase,
        task: Task::Edit,
    }
}

fn until(goal: Goal, milestone: OpsCondition) -> Step {
    Step {
        milestone,
        task: Task::Await(goal),
    }
}

/// Makes the spec of a Pgpool say what a request that began at `begin` asks for. Doing it twice changes nothing more.
pub(crate) fn change(request: &PgpoolOpsRequest, begin: Timestamp, spec: &mut PgpoolSpec) {
    match request.spec.type_ {
        OpsType::Restart => restart::change(request, begin, spec),
        OpsType::HorizontalScaling => horizontal_scaling::change(request, spec),
        OpsType::VerticalScaling => vertical_scaling::change(request, begin, spec),
        OpsType::Reconfigure => reconfigure::change(request, begin, spec),
        OpsType::UpdateVersion => update_version::change(request, spec),
        OpsType::ReconfigureTls => reconfigure_tls::change(request, spec),
        OpsType::RotateAuth => rotate_auth::change(request, spec),
    }
}

/// What people are told about a change beside what has changed; mostly nothing.
pub(crate) fn remark(request: &PgpoolOpsRequest) -> &'static str {
    match request.spec.type_ {
        OpsType::VerticalScaling => vertical_scaling::remark(request),
        OpsType::Reconfigure => reconfigure::remark(request),
        _ => "",
    }
}

/// The certificates that are to be replaced, as they are now.
pub(crate) fn replaced(request: &PgpoolOpsRequest, facts: &Facts) -> Vec<ReplacedCertificate> {
    if !reconfigure_tls::rotates(request) {
        return Vec::new();
    }
    Alias::ALL
        .iter()
        .map(|alias| reconfigure_tls::standing(*alias, facts))
        .collect()
}

/// Whether a certificate has been issued since it was noted in the status.
pub(crate) fn is_replaced(replaced: &ReplacedCertificate, certificate: &Certificate) -> bool {
    reconfigure_tls::is_newer(replaced, certificate)
}

/// Whether the next step waits for pgpool's own file of passwords, which is read only then.
pub(crate) fn looks_at_control_port(steps: &[Step], status: &PgpoolOpsRequestStatus) -> bool {
    following(steps, status).is_some_and(|step| step.task == Task::Await(Goal::ControlPort))
}

fn following<'a>(steps: &'a [Step], status: &PgpoolOpsRequestStatus) -> Option<&'a Step> {
    steps.iter().find(|step| !status::is_done(status, step.milestone))
}

/// Decides what comes next.
pub(crate) fn next<'a>(
    request: &PgpoolOpsRequest,
    steps: &'a [Step],
    status: &PgpoolOpsRequestStatus,
    facts: &Facts,
    now: Timestamp,
) -> Next<'a> {
    let name = &request.spec.database_ref.name;
    let Some(step) = following(steps, status) else {
        let message = format!("Everything that was asked for Pgpool {name} is done");
        return Next::Ends(Verdict::Successful { message });
    };
    if facts.pgpool.is_none() {
        let (reason, message) = (OpsReason::PgpoolNotFound, format!("Pgpool {name} is gone"));
        return Next::Ends(Verdict::Failed { reason, message });
    }
    let sight = match step.task {
        Task::Await(goal) => goals::look(goal, status, facts),
        Task::Edit | Task::NewPassword | Task::Reissue => Sight::NotYet {
            reason: OpsReason::Progressing,
            message: "the API server did not take it yet".to_owned(),
        },
    };
    let left = time_left(request, status::last_step(status), now);
    match sight {
        Sight::Reached { message } => Next::Reached { step, message },
        Sight::Hopeless { reason, message } => Next::Ends(Verdict::Failed { reason, message }),
        Sight::NotYet { message, .. } if left == Some(Duration::ZERO) => {
            Next::Ends(timed_out(request, &message))
        }
        Sight::NotYet { .. } if !matches!(step.task, Task::Await(_)) => Next::Do(step),
        Sight::NotYet { reason, message } => Next::Waits(Verdict::Waits {
            reason,
            message,
            after: left,
        }),
    }
}

/// What is left of the time that a step may take; `None` when it may take any time.
pub(crate) fn time_left(
    request: &PgpoolOpsRequest,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Option<Duration> {
    let limit = request.spec.timeout.as_ref()?.length()?;
    let spent = now.duration_since(since?);
    Some(limit.saturating_sub(Duration::try_from(spent).unwrap_or_default()))
}

/// The end of a step that took too long.
pub(crate) fn timed_out(request: &PgpoolOpsRequest, waited: &str) -> Verdict {
    let limit = request
        .spec
        .timeout
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    Verdict::Failed {
        reason: OpsReason::TimedOut,
        message: format!(
            "The step took longer than spec.timeout, {limit}: {waited}. What was changed stays, and the operators go on with \
             it; another request may change it back"
        ),
    }
}

#[cfg(test)]
mod tests;
