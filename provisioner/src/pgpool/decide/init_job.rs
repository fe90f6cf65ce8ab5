//! Decides whether the user's scripts run now, and how far they are. Pure.
//!
//! "Once" is the existence of the Job: while it exists, nothing runs again, whatever becomes of the spec, of pods or of
//! operators.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::Resource;
use operator_runtime::Claim;
use shared_types::Pgpool;
use shared_types::conditions::Reason;
use shared_types::explanation::{Blocked, Explanation};
use shared_types::pgpool::ScriptReference;

use super::workload::Workload;
use crate::pgpool::observe::{Lookup, Observed, is_due};
use crate::pgpool::validate::{Initialization, Validated};

/// How soon a `ConfigMap` that is missing is looked up again: no watch reports its creation.
const SOURCE_RETRY: Duration = Duration::from_secs(10);

/// How far the scripts are.
#[derive(Clone, Debug)]
pub(crate) enum InitState {
    /// Nothing new is known.
    Unknown,
    /// There are none.
    NotRequested,
    /// The user says that they have run.
    Skipped,
    /// They cannot run now.
    Waiting(Explanation),
    /// They run now: the Job is created.
    Due,
    /// The Job that runs them, or has.
    Exists(Arc<Job>),
}

fn waiting(reason: Reason, message: impl Into<String>) -> InitState {
    InitState::Waiting(Explanation::new(reason, message))
}

/// Decides about the scripts, given what will run.
pub(super) fn init_state(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    workload: Option<&Workload>,
) -> InitState {
    let init = match &validated.init {
        Initialization::None => return InitState::NotRequested,
        Initialization::Skipped => return InitState::Skipped,
        Initialization::Refused(Blocked::Stuck(explanation) | Blocked::Waiting(explanation)) => {
            return InitState::Waiting(explanation.clone());
        }
        Initialization::Refused(Blocked::Unknown) => return InitState::Unknown,
        Initialization::Wanted(init) => init,
    };
    let title = format!("Job {}/{}", validated.namespace, init.job);
    match &observed.init.job {
        Lookup::Pending => InitState::Unknown,
        Lookup::Undecodable(why) => waiting(Reason::ReferenceDecodeFailed, why.explain(&title)),
        Lookup::Forbidden => waiting(
            Reason::WriteForbidden,
            format!(
                "{title} may not be read by this operator: grant it create, list and watch on Jobs there"
            ),
        ),
        Lookup::Present(job) if job.metadata.deletion_timestamp.is_some() => InitState::Unknown,
        Lookup::Present(job) if !Claim::of(pgpool).controls(job.meta()) => waiting(
            Reason::NameConflict,
            format!("{title} exists and does not belong to this Pgpool: rename or delete it"),
        ),
        Lookup::Present(job) => InitState::Exists(Arc::clone(job)),
        Lookup::Absent if workload.is_none() || !is_due(pgpool) => waiting(
            Reason::InitWaitingForPool,
            "The scripts run when the Pgpool is ready, see condition Ready",
        ),
        Lookup::Absent => sources(validated, observed),
    }
}

/// Whether everything exists that the Job mounts.
fn sources(validated: &Validated, observed: &Observed) -> InitState {
    for (reference, found) in &observed.init.sources {
        let (kind, name, retry_after) = match reference {
            ScriptReference::Secret(name) => ("Secret", name, None),
            ScriptReference::ConfigMap(name) => ("ConfigMap", name, Some(SOURCE_RETRY)),
        };
        match found {
            Lookup::Pending => return InitState::Unknown,
            Lookup::Absent => {
                let namespace = &validated.namespace;
                let message = format!(
                    "{kind} {namespace}/{name} of `spec.init.script` does not exist: create it, or name another"
                );
                let explanation = Explanation::new(Reason::InitSourceNotFound, message);
                return InitState::Waiting(explanation.after(retry_after));
            }
            // The kubelet finds out whether it can be mounted.
            Lookup::Forbidden | Lookup::Undecodable(_) | Lookup::Present(()) => {}
        }
    }
    InitState::Due
}
