//! Whether there is work left, what it waits for, and whether anything can be done at all.

use std::time::Duration;

use jiff::Timestamp;
use operator_runtime::Outcome;
use operator_runtime::apply::ApplyError;
use shared_types::Pgpool;
use shared_types::conditions::Reason;
use shared_types::explanation::{Blocked, Explanation};

use super::{NewCondition, no_effect, rollout};
use crate::pgpool::apply::{Applied, Progress};
use crate::pgpool::decide::handoff::Verifier;
use crate::pgpool::decide::rollout::{Rollout, rollout};
use crate::pgpool::decide::{CertificateState, Decision, ca_overlap, volume_sync};
use crate::pgpool::observe::Observed;

/// How soon a foreign object is looked at again: a person has to delete it, and each time costs a request or two.
pub(super) const CONFLICT_RETRY: Duration = Duration::from_secs(15);

/// How far the work on a `Pgpool` is.
pub(super) enum Work {
    /// It cannot continue now.
    Blocked(Blocked),
    /// ops-manager is given this much more time: a status would be overwritten in a moment.
    AwaitingVerdict { left: Duration },
    /// There is none left.
    Done { message: String },
}

impl Work {
    pub(super) fn of(
        pgpool: &Pgpool,
        observed: &Observed,
        decision: &Result<Decision<'_>, Blocked>,
        applied: &Applied,
        now: Timestamp,
    ) -> Self {
        let decision = match decision {
            Ok(decision) => decision,
            Err(blocked) => return Self::Blocked(blocked.clone()),
        };
        match &applied.progress {
            Progress::Stopped => return Self::Blocked(Blocked::Unknown),
            // The foreign object does not have our labels, so no watch reports its deletion.
            Progress::Conflict { message } => {
                let blocked = Blocked::stuck(Reason::NameConflict, message.clone());
                return Self::Blocked(blocked.after(CONFLICT_RETRY));
            }
            Progress::Failed(error) => return Self::Blocked(failed(error)),
            Progress::Written => {}
        }
        if let Some(blocked) = &decision.config.blocked {
            return Self::Blocked(blocked.clone());
        }
        let verifier = match &decision.certificates {
            CertificateState::AwaitingVerdict { left } => return Self::AwaitingVerdict { left: *left },
            CertificateState::Held { message, retry_after } => {
                let blocked = Blocked::waiting(Reason::WaitingForCertificates, message.clone());
                return Self::Blocked(blocked.after(*retry_after));
            }
            CertificateState::NotNeeded => None,
            CertificateState::Verified(verifier) => Some(*verifier),
        };
        Self::rolling(pgpool, observed, decision, applied, verified_by(verifier), now)
    }

    fn rolling(
        pgpool: &Pgpool,
        observed: &Observed,
        decision: &Decision<'_>,
        applied: &Applied,
        verified_by: &str,
        now: Timestamp,
    ) -> Self {
        if let Some(blocked) = rollout::rolling(pgpool, observed, decision, applied, verified_by) {
            return Self::Blocked(blocked);
        }
        let replicas = pgpool.spec.replicas();
        let all = usize::try_from(replicas).unwrap_or_default();
        let wanted = observed.pods.iter().filter(|pod| pod.ordinal < replicas);
        let ready = wanted.filter(|pod| pod.ready).count();
        Self::Blocked(
            match rollout(applied.stateful_set.as_ref(), &observed.pods, replicas) {
                Rollout::Absent | Rollout::Unobserved => waiting_for_pods("", verified_by),
                Rollout::Replacing { updated } => Blocked::waiting(
                    Reason::RollingOut,
                    format!(
                        "{updated} of {all} pods are up to date; the others are replaced one by one{verified_by}"
                    ),
                ),
                Rollout::Settled if ready < all => waiting_for_pods(&trouble(observed), verified_by),
                Rollout::Settled => {
                    let Some(left) = volume_sync::reading_time_left(&observed.pods, applied.synced, now)
                    else {
                        return Self::Done {
                            message: done(pgpool, observed, verified_by),
                        };
                    };
                    let message = format!("Running pods are reading the changes{verified_by}");
                    Blocked::waiting(Reason::ReloadingConfiguration, message).after(left)
                }
            },
        )
    }

    /// Whether something is about to be known that a status would be overwritten by, or nothing is known.
    pub(super) fn is_settling(&self) -> bool {
        matches!(
            self,
            Self::Blocked(Blocked::Unknown) | Self::AwaitingVerdict { .. }
        )
    }

    /// Condition Reconciling.
    pub(super) fn reconciling(&self) -> NewCondition {
        match self {
            Self::Blocked(Blocked::Unknown) | Self::AwaitingVerdict { .. } => {
                NewCondition::new(false, Reason::Converged, "")
            }
            Self::Blocked(Blocked::Waiting(explanation)) => NewCondition::explained(true, explanation),
            Self::Blocked(Blocked::Stuck(Explanation { reason, .. })) => {
                NewCondition::new(false, *reason, "Stopped before completion, see condition Stalled")
            }
            Self::Done { message } => NewCondition::new(false, Reason::Converged, message.clone()),
        }
    }

    /// Condition Stalled, while it holds.
    pub(super) fn stalled(&self) -> Option<NewCondition> {
        match self {
            Self::Blocked(Blocked::Stuck(explanation)) => Some(NewCondition::explained(true, explanation)),
            Self::Blocked(_) | Self::AwaitingVerdict { .. } | Self::Done { .. } => None,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            // A cache wakes the Pgpool once it is filled. A failed write is an error, and this value is not used.
            Self::Blocked(Blocked::Unknown) => Outcome::Waiting {
                reason: "Reading",
                after: None,
            },
            Self::AwaitingVerdict { left } => Outcome::Waiting {
                reason: Reason::WaitingForCertificates.as_str(),
                after: Some(*left),
            },
            Self::Blocked(Blocked::Stuck(Explanation {
                reason,
                retry_after: None,
                ..
            })) => Outcome::Rejected {
                reason: reason.as_str(),
            },
            Self::Blocked(Blocked::Waiting(explanation) | Blocked::Stuck(explanation)) => Outcome::Waiting {
                reason: explanation.reason.as_str(),
                after: explanation.retry_after,
            },
            Self::Done { .. } => Outcome::Converged,
        }
    }
}

fn failed(error: &ApplyError) -> Blocked {
    match error.code() {
        // For an administrator to fix: nothing is wrong with the spec.
        Some(403) => Blocked::stuck(Reason::WriteForbidden, error.to_string()),
        // Rejected for what it is: the user has to know, and the next attempt will not differ.
        Some(400..=408 | 410..=428 | 430..=499) => {
            Blocked::stuck(Reason::ConfigurationInvalid, error.to_string())
        }
        // Overload, timeout or lost connection: retry. Writing a status would fail in the same way.
        _ => Blocked::Unknown,
    }
}

fn waiting_for_pods(trouble: &str, verified_by: &str) -> Blocked {
    let message = format!("Waiting for the pods to become ready{trouble}{verified_by}");
    Blocked::waiting(Reason::WaitingForPods, message)
}

/// What keeps the first pod in trouble from running.
fn trouble(observed: &Observed) -> String {
    for pod in &observed.pods {
        if let Some(trouble) = &pod.trouble {
            return format!("; pod {}: {trouble}", pod.name);
        }
    }
    String::new()
}

fn done(pgpool: &Pgpool, observed: &Observed, verified_by: &str) -> String {
    let mut fields = no_effect::without_effect(&pgpool.spec);
    fields.extend(no_effect::unreadable(pgpool));
    let without_effect = match fields.join(", ").as_str() {
        "" => String::new(),
        fields => format!("; without effect: {fields}"),
    };
    let overlap = match ca_overlap::accepted_until(pgpool, observed) {
        Some(until) => format!(
            "; certificates of the former CA are accepted until {until}, so that clients can take new ones"
        ),
        None => String::new(),
    };
    format!("The Pgpool matches its spec{overlap}{without_effect}{verified_by}")
}

/// Says who verified the certificates if it was not ops-manager.
fn verified_by(verifier: Option<Verifier>) -> &'static str {
    match verifier {
        // A status must not change because the verdict arrived by another path.
        None | Some(Verifier::Channel | Verifier::Status) => "",
        Some(Verifier::Provisioner) => {
            "; the provisioner verified the certificates itself, since ops-manager published no verdict"
        }
    }
}
