//! Condition `Initialized`: how far the user's scripts have come. It says nothing about the pool, and nothing about the
//! pool depends on it.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use shared_types::conditions::Reason;

use super::Said;
use crate::pgpool::apply::Done;
use crate::pgpool::observe::ended;
use crate::pgpool::plan::InitStand;

/// What there is to say about scripts.
pub(super) enum Initialized {
    /// Nothing new: what was said before stands.
    Unknown,
    /// There are no scripts.
    NotAsked,
    /// This, and when to look again if nothing happens before.
    Says(Said, Option<Duration>),
}

impl Initialized {
    pub(super) fn judge(applied: &Done) -> Self {
        let no = |reason, message: String| Said::new(false, reason, message);
        if let Some(error) = &applied.init_failure {
            return match error.code() {
                Some(403) => Self::Says(no(Reason::WriteForbidden, error.to_string()), None),
                Some(400..=499) => Self::Says(no(Reason::ConfigurationInvalid, error.to_string()), None),
                // The next try will do.
                _ => Self::Unknown,
            };
        }
        match &applied.init {
            InitStand::Unknown => Self::Unknown,
            InitStand::NotAsked => Self::NotAsked,
            InitStand::Skipped => Self::Says(
                Said::new(
                    true,
                    Reason::InitSkipped,
                    "`spec.init.initialized` says that nothing is to be run",
                ),
                None,
            ),
            InitStand::Waits {
                reason,
                message,
                after,
            } => Self::Says(no(*reason, message.clone()), *after),
            InitStand::There(job) => Self::Says(job_says(job), None),
        }
    }
}

fn job_says(job: &Job) -> Said {
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    let title = format!("Job {namespace}/{name}");
    let log = format!("`kubectl logs --namespace {namespace} job/{name}`");
    let failed = job
        .status
        .as_ref()
        .and_then(|status| status.failed)
        .unwrap_or_default();
    if ended(job, "Complete") {
        let message = format!("{title} has run the scripts; delete it to have them run again");
        return Said::new(true, Reason::InitSucceeded, message);
    }
    if ended(job, "Failed") {
        let message = format!(
            "{title} gave up, the scripts failed {failed} times: see {log}, correct them, then delete the Job to have \
             them run again"
        );
        return Said::new(false, Reason::InitFailed, message);
    }
    let again = match failed {
        0 => String::new(),
        1 => format!("; they failed once and are tried again, see {log}"),
        _ => format!("; they failed {failed} times and are tried again, see {log}"),
    };
    Said::new(
        false,
        Reason::InitRunning,
        format!("{title} runs the scripts{again}"),
    )
}
