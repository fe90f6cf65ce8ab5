//! Whether there is work left, what it waits for, and whether anything can be done at all.

use std::time::Duration;

use jiff::Timestamp;
use operator_runtime::Outcome;
use operator_runtime::apply::ApplyError;
use shared_types::Pgpool;
use shared_types::conditions::Reason;

use super::{Said, remarks, rolling};
use crate::pgpool::apply::{Done, Progress};
use crate::pgpool::authorities;
use crate::pgpool::delivery;
use crate::pgpool::handoff::Judge;
use crate::pgpool::judgement::Doubt;
use crate::pgpool::observe::Observed;
use crate::pgpool::plan::Stand;
use crate::pgpool::rollout::{Rollout, rollout};
use crate::pgpool::validate::Unmet;

/// How soon a foreign object is looked at again: a person has to remove it, and each look is a request or two.
pub(in crate::pgpool) const CONFLICT_RETRY: Duration = Duration::from_secs(15);

/// How the work on a `Pgpool` stands.
pub(super) enum Work {
    /// A cache is still filling, or the API server was not to be had: nothing new is known, nothing is said.
    Unknown,
    /// ops-manager is being listened to, for this long at most: a status would be overwritten in a moment.
    Listens(Duration),
    /// It goes on when something happens.
    Waits {
        reason: Reason,
        message: String,
        after: Option<Duration>,
    },
    /// It goes on when somebody changes something; looked at again after this time if no watch tells of it.
    Stuck {
        reason: Reason,
        message: String,
        after: Option<Duration>,
    },
    /// There is none left.
    Done { message: String },
}

impl Work {
    pub(super) fn judge(pgpool: &Pgpool, observed: &Observed, applied: &Done, now: Timestamp) -> Self {
        match &applied.progress {
            Progress::Stopped(unmet) => Self::unmet(unmet),
            // The foreign object has not our labels, so nothing tells when it goes.
            Progress::Refused { message } => Self::Stuck {
                reason: Reason::NameConflict,
                message: message.clone(),
                after: Some(CONFLICT_RETRY),
            },
            Progress::Failed(error) => Self::failed(error),
            Progress::Written(Stand::Listening { left }) => Self::Listens(*left),
            Progress::Written(Stand::Held { why, after }) => Self::Waits {
                reason: Reason::WaitingForCertificates,
                message: why.clone(),
                after: *after,
            },
            Progress::Written(Stand::Doubted { doubt, after }) => Self::doubted(doubt).no_later_than(*after),
            Progress::Written(Stand::NotNeeded) => Self::rolling(pgpool, observed, applied, None, now),
            Progress::Written(Stand::Passed(judge)) => {
                Self::rolling(pgpool, observed, applied, Some(*judge), now)
            }
        }
    }

    fn unmet(unmet: &Unmet) -> Self {
        match unmet {
            Unmet::Reading { .. } => Self::Unknown,
            Unmet::Waiting { reason, message } => Self::waits(*reason, message.clone()),
            Unmet::Rejected { reason, message } => Self::Stuck {
                reason: *reason,
                message: message.clone(),
                after: None,
            },
        }
    }

    fn doubted(doubt: &Doubt) -> Self {
        match doubt {
            Doubt::Unmet(unmet) => Self::unmet(unmet),
            Doubt::Pending { why, after } => Self::Waits {
                reason: Reason::CheckingConfiguration,
                message: why.clone(),
                after: *after,
            },
            Doubt::Unfit { complaint } => Self::Stuck {
                reason: Reason::ConfigurationInvalid,
                message: complaint.clone(),
                after: None,
            },
            Doubt::Mute { why, after } => Self::Stuck {
                reason: Reason::ConfigurationNotChecked,
                message: why.clone(),
                after: *after,
            },
        }
    }

    /// The same, but looked at again after this time.
    fn no_later_than(mut self, time: Option<Duration>) -> Self {
        if let Self::Waits { after, .. } | Self::Stuck { after, .. } = &mut self {
            *after = after.iter().copied().chain(time).min();
        }
        self
    }

    fn waits(reason: Reason, message: impl Into<String>) -> Self {
        Self::Waits {
            reason,
            message: message.into(),
            after: None,
        }
    }

    fn failed(error: &ApplyError) -> Self {
        match error.code() {
            // For an administrator to mend: nothing is wrong with the spec.
            Some(403) => Self::Stuck {
                reason: Reason::WriteForbidden,
                message: error.to_string(),
                after: None,
            },
            // Refused for what it is: the user has to know, and the next try will not differ.
            Some(400..=408 | 410..=428 | 430..=499) => Self::Stuck {
                reason: Reason::ConfigurationInvalid,
                message: error.to_string(),
                after: None,
            },
            // Busy, late or cut off: the next try will do, and a status would meet the same.
            _ => Self::Unknown,
        }
    }

    fn rolling(
        pgpool: &Pgpool,
        observed: &Observed,
        applied: &Done,
        judge: Option<Judge>,
        now: Timestamp,
    ) -> Self {
        let replicas = pgpool.spec.replicas();
        let all = usize::try_from(replicas).unwrap_or_default();
        let ready = || {
            observed
                .pods
                .iter()
                .filter(|pod| pod.ready && pod.ordinal < replicas)
                .count()
        };
        let word = word(judge);
        let starting = |trouble: &str| {
            let message = format!("Waits for the pods to become ready{trouble}{word}");
            Self::waits(Reason::WaitingForPods, message)
        };
        if let Some(work) = rolling::rolling(pgpool, observed, applied, word) {
            return work;
        }
        match rollout(applied.stateful_set.as_ref(), &observed.pods, replicas) {
            Rollout::Absent | Rollout::Unnoticed => starting(""),
            Rollout::Replacing { updated } => Self::waits(
                Reason::RollingOut,
                format!("{updated} of {all} pods are up to date, the others follow one by one{word}"),
            ),
            Rollout::Settled if ready() < all => {
                let mut troubles = observed
                    .pods
                    .iter()
                    .filter_map(|pod| Some((pod, pod.trouble.as_ref()?)));
                let trouble = troubles
                    .next()
                    .map(|(pod, trouble)| format!("; pod {}: {trouble}", pod.name));
                starting(&trouble.unwrap_or_default())
            }
            Rollout::Settled if let Some(left) = delivery::reading(&observed.pods, applied.told, now) => {
                let message = format!("Running pods are reading what has changed{word}");
                Self::Waits {
                    reason: Reason::ReloadingConfiguration,
                    message,
                    after: Some(left),
                }
            }
            Rollout::Settled => {
                let mut remarks = remarks::without_effect(&pgpool.spec);
                remarks.extend(remarks::unreadable(pgpool));
                let remarks = remarks.join(", ");
                let remarks = match remarks.as_str() {
                    "" => remarks,
                    fields => format!("; without effect: {fields}"),
                };
                let earlier = authorities::accepted_until(pgpool, observed).map(|until| {
                    format!("; certificates of the earlier CA are accepted until {until}, for clients to take up new ones")
                });
                let earlier = earlier.unwrap_or_default();
                Self::Done {
                    message: format!("Everything is as asked{earlier}{remarks}{word}"),
                }
            }
        }
    }

    /// Condition Reconciling.
    pub(super) fn reconciling(&self) -> Said {
        match self {
            Self::Unknown | Self::Listens(_) => Said::new(false, Reason::Converged, ""),
            Self::Waits { reason, message, .. } => Said::new(true, *reason, message.clone()),
            Self::Stuck { reason, .. } => Said::new(
                false,
                *reason,
                "Stopped before everything was done, see condition Stalled",
            ),
            Self::Done { message } => Said::new(false, Reason::Converged, message.clone()),
        }
    }

    /// Condition Stalled, while it holds.
    pub(super) fn stalled(&self) -> Option<Said> {
        match self {
            Self::Stuck { reason, message, .. } => Some(Said::new(true, *reason, message.clone())),
            Self::Unknown | Self::Listens(_) | Self::Waits { .. } | Self::Done { .. } => None,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            // A cache tells when it is filled; a failed write is an error, and this is not looked at.
            Self::Unknown => Outcome::Waiting {
                reason: "Reading",
                after: None,
            },
            Self::Listens(left) => Outcome::Waiting {
                reason: Reason::WaitingForCertificates.as_str(),
                after: Some(*left),
            },
            Self::Waits { reason, after, .. }
            | Self::Stuck {
                reason,
                after: after @ Some(_),
                ..
            } => Outcome::Waiting {
                reason: reason.as_str(),
                after: *after,
            },
            Self::Stuck {
                reason, after: None, ..
            } => Outcome::Rejected {
                reason: reason.as_str(),
            },
            Self::Done { .. } => Outcome::Converged,
        }
    }
}

/// Says whose word the certificates rest on when that is not the usual way.
fn word(judge: Option<Judge>) -> &'static str {
    match judge {
        // Heard or read, it is ops-manager's: a status must not change because only the way did.
        None | Some(Judge::Channel | Judge::Status) => "",
        Some(Judge::Myself) => "; ops-manager was silent, so the provisioner judged the certificates itself",
    }
}
