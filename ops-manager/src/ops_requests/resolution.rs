//! What a pass over a request comes to, and how much time a step has left. Pure.

use std::time::Duration;

use jiff::Timestamp;
use operator_runtime::Outcome;
use shared_types::PgpoolOpsRequest;
use shared_types::conditions::OpsReason;
use shared_types::explanation::Explanation;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// Continues when something changes.
    Waiting(Explanation<OpsReason>),
    Successful {
        message: String,
    },
    Failed(Explanation<OpsReason>),
    /// Another request takes its place.
    Skipped {
        message: String,
    },
}

impl Resolution {
    pub(crate) fn waiting(reason: OpsReason, message: impl Into<String>) -> Self {
        Self::Waiting(Explanation::new(reason, message))
    }

    pub(crate) fn failed(reason: OpsReason, message: impl Into<String>) -> Self {
        Self::Failed(Explanation::new(reason, message))
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Waiting(explanation) => Outcome::Waiting {
                reason: explanation.reason.as_str(),
                after: explanation.retry_after,
            },
            Self::Successful { .. } | Self::Failed(_) | Self::Skipped { .. } => Outcome::Converged,
        }
    }
}

/// Waits with what is left of the time that a step may take since `since`, or fails when none is left.
pub(crate) fn wait_or_time_out(
    request: &PgpoolOpsRequest,
    explanation: Explanation<OpsReason>,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Resolution {
    match time_left(request, since, now) {
        Some(Duration::ZERO) => timed_out(request, &explanation.message),
        left => Resolution::Waiting(explanation.after(left)),
    }
}

/// `None` if it is not known since when.
pub(crate) fn time_left(
    request: &PgpoolOpsRequest,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Option<Duration> {
    let limit = request.spec.step_timeout();
    let spent = now.duration_since(since?);
    Some(limit.saturating_sub(Duration::try_from(spent).unwrap_or_default()))
}

pub(crate) fn timed_out(request: &PgpoolOpsRequest, waited_for: &str) -> Resolution {
    let limit = request.spec.step_timeout();
    let limit = match &request.spec.timeout {
        Some(timeout) if timeout.length() == Some(limit) => format!("spec.timeout, {timeout}"),
        Some(_) => format!("the longest spec.timeout, {} hours", limit.as_secs() / 3600),
        None => format!("{} minutes, the default of spec.timeout", limit.as_secs() / 60),
    };
    Resolution::failed(
        OpsReason::TimedOut,
        format!(
            "The step took longer than {limit}: {waited_for}. The change stays in the spec, and the operators \
             continue with it; another request may change it back"
        ),
    )
}
