//! Condition `Initialized`: how far the user's scripts are. It is independent of the pool.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use shared_types::conditions::Reason;

use super::NewCondition;
use crate::pgpool::apply::Applied;
use crate::pgpool::decide::init_job::InitState;
use crate::pgpool::observe::ended;

/// What the condition says.
pub(super) enum Initialized {
    /// Nothing new: it stays as it is.
    Unknown,
    /// There are no scripts.
    NotRequested,
    /// Its content, and when to reconcile again.
    Known(NewCondition, Option<Duration>),
}

impl Initialized {
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Known(_, retry_after) => *retry_after,
            Self::Unknown | Self::NotRequested => None,
        }
    }

    pub(super) fn of(applied: &Applied) -> Self {
        let no = |reason, message: String| NewCondition::new(false, reason, message);
        if let Some(error) = &applied.init_failure {
            return match error.code() {
                Some(403) => Self::Known(no(Reason::WriteForbidden, error.to_string()), None),
                Some(400..=499) => Self::Known(no(Reason::ConfigurationInvalid, error.to_string()), None),
                // The next attempt may succeed.
                _ => Self::Unknown,
            };
        }
        match &applied.init {
            InitState::Unknown | InitState::Due => Self::Unknown,
            InitState::NotRequested => Self::NotRequested,
            InitState::Skipped => Self::Known(
                NewCondition::new(
                    true,
                    Reason::InitSkipped,
                    "`spec.init.initialized` is true, so no scripts are run",
                ),
                None,
            ),
            InitState::Waiting(explanation) => Self::Known(
                NewCondition::explained(false, explanation),
                explanation.retry_after,
            ),
            InitState::Exists(job) => Self::Known(job_says(job), None),
        }
    }
}

fn job_says(job: &Job) -> NewCondition {
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    let title = format!("Job {namespace}/{name}");
    let log = format!("`kubectl logs --namespace {namespace} job/{name}`");
    let failed = job
        .status
        .as_ref()
        .and_then(|status| status.failed)
        .unwrap_or_default();
    if ended(job, "Complete") {
        let message = format!("{title} has run the scripts; delete it to run them again");
        return NewCondition::new(true, Reason::InitSucceeded, message);
    }
    if ended(job, "Failed") {
        let message = format!(
            "{title} gave up after the scripts failed {failed} times: see {log}, fix them, then delete the Job to run \
             them again"
        );
        return NewCondition::new(false, Reason::InitFailed, message);
    }
    let again = match failed {
        0 => String::new(),
        1 => format!("; they failed once and are retried, see {log}"),
        _ => format!("; they failed {failed} times and are retried, see {log}"),
    };
    NewCondition::new(
        false,
        Reason::InitRunning,
        format!("{title} runs the scripts{again}"),
    )
}
