//! Decides whether the user's scripts are to be run now, and says how they stand. Pure.
//!
//! "Once" is the existence of the Job: while it is there, nothing is run again, whatever becomes of the spec, of pods or
//! of operators.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::Resource;
use shared_types::Pgpool;
use shared_types::conditions::Reason;
use shared_types::pgpool::ScriptReference;

use super::Workload;
use crate::pgpool::build;
use crate::pgpool::observe::{Lookup, Observed, is_due};
use crate::pgpool::rollout;
use crate::pgpool::validate::{Init, Initialization, Unmet, Validated};

/// How soon a `ConfigMap` that is missing is asked for again: nothing tells when it comes.
const SOURCE_RETRY: Duration = Duration::from_secs(10);

/// How the scripts stand.
#[derive(Clone, Debug)]
pub(crate) enum InitStand {
    /// Nothing new is known.
    Unknown,
    /// There are none.
    NotAsked,
    /// The user says that they have run.
    Skipped,
    /// They cannot be run now.
    Waits {
        /// For the condition.
        reason: Reason,
        /// The object and the cure.
        message: String,
        /// When to look again, if nothing happens before.
        after: Option<Duration>,
    },
    /// The Job that runs them, or has.
    There(Arc<Job>),
}

/// What is to be done about the scripts.
#[derive(Clone, Debug)]
pub(crate) enum Initiate {
    /// Nothing.
    Nothing(InitStand),
    /// They run now.
    Create(Box<Job>),
}

fn waits(reason: Reason, message: impl Into<String>, after: Option<Duration>) -> Initiate {
    Initiate::Nothing(InitStand::Waits {
        reason,
        message: message.into(),
        after,
    })
}

/// Decides about the scripts, given what will run.
pub(super) fn initiate(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    workload: Option<&Workload>,
) -> Initiate {
    let init = match &validated.init {
        Initialization::None => return Initiate::Nothing(InitStand::NotAsked),
        Initialization::Skipped => return Initiate::Nothing(InitStand::Skipped),
        Initialization::Refused(Unmet::Rejected { reason, message } | Unmet::Waiting { reason, message }) => {
            return waits(*reason, message.clone(), None);
        }
        Initialization::Refused(Unmet::Reading { .. }) => return Initiate::Nothing(InitStand::Unknown),
        Initialization::Wanted(init) => init,
    };
    let title = format!("Job {}/{}", validated.namespace, init.job);
    match &observed.init.job {
        Lookup::Pending => Initiate::Nothing(InitStand::Unknown),
        Lookup::Forbidden => waits(
            Reason::WriteForbidden,
            format!(
                "{title} may not be read by this operator: grant it create, list and watch on Jobs there"
            ),
            None,
        ),
        Lookup::Present(job) if job.metadata.deletion_timestamp.is_some() => {
            Initiate::Nothing(InitStand::Unknown)
        }
        Lookup::Present(job) if !is_ours(job, pgpool) => waits(
            Reason::NameConflict,
            format!("{title} exists and is not of this Pgpool: rename or delete it"),
            None,
        ),
        Lookup::Present(job) => Initiate::Nothing(InitStand::There(Arc::clone(job))),
        Lookup::Absent => start(pgpool, validated, observed, init, workload),
    }
}

fn start(
    pgpool: &Pgpool,
    validated: &Validated,
    observed: &Observed,
    init: &Init,
    workload: Option<&Workload>,
) -> Initiate {
    let Some(workload) = workload.filter(|_| is_due(pgpool)) else {
        return waits(
            Reason::InitWaitingForPool,
            "The scripts run when the Pgpool is ready, see condition Ready",
            None,
        );
    };
    for (reference, found) in &observed.init.sources {
        let (kind, name, after) = match reference {
            ScriptReference::Secret(name) => ("Secret", name, None),
            ScriptReference::ConfigMap(name) => ("ConfigMap", name, Some(SOURCE_RETRY)),
        };
        match found {
            Lookup::Pending => return Initiate::Nothing(InitStand::Unknown),
            Lookup::Absent => {
                let namespace = &validated.namespace;
                let message = format!(
                    "{kind} {namespace}/{name} of `spec.init.script` does not exist: create it, or name another"
                );
                return waits(Reason::InitSourceNotFound, message, after);
            }
            // What may not be looked at may well be there; the kubelet knows.
            Lookup::Forbidden | Lookup::Present(()) => {}
        }
    }
    let copy = rollout::certificates(&workload.stateful_set);
    Initiate::Create(Box::new(build::init_job(validated, init, copy)))
}

fn is_ours(job: &Job, pgpool: &Pgpool) -> bool {
    let uid = pgpool.meta().uid.as_ref();
    let owners = job.metadata.owner_references.iter().flatten();
    owners
        .into_iter()
        .any(|it| it.controller == Some(true) && Some(&it.uid) == uid)
}
