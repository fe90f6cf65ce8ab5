//! The outcome of a reconcile, and when the object is reconciled again. Pure.
//!
//! Waiting and rejection are values, not errors: an error is failed I/O and nothing else.

use std::time::Duration;

use rand::{Rng, RngExt};

/// The outcome of a reconcile that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The cluster matches the spec. Reconciled again in 40 to 60 minutes, in case an event was lost.
    Converged,
    /// As `Converged`, but something is due after this time, such as the expiry of a certificate.
    ConvergedUntil(Duration),
    /// Something that is needed does not exist yet.
    Waiting {
        /// The reason of the condition; a label of the metric, so from a fixed set.
        reason: &'static str,
        /// When to reconcile again; `None` when a watch triggers it.
        after: Option<Duration>,
    },
    /// The spec cannot be applied until it, or something that it refers to, changes.
    Rejected {
        /// The reason of the condition.
        reason: &'static str,
    },
}

impl Outcome {
    /// Returns the label of this outcome in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Converged | Self::ConvergedUntil(_) => "converged",
            Self::Waiting { .. } => "waiting",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// Returns the reason, when there is one.
    #[must_use]
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Converged | Self::ConvergedUntil(_) => None,
            Self::Waiting { reason, .. } | Self::Rejected { reason } => Some(reason),
        }
    }

    /// Returns the same outcome, reconciled again after `pause` at the latest.
    #[must_use]
    pub fn no_later_than(self, pause: Duration) -> Self {
        match self {
            Self::Waiting { reason, after } => Self::Waiting {
                reason,
                after: Some(after.map_or(pause, |after| after.min(pause))),
            },
            Self::ConvergedUntil(due) => Self::ConvergedUntil(due.min(pause)),
            Self::Converged => Self::ConvergedUntil(pause),
            Self::Rejected { reason } => Self::Waiting {
                reason,
                after: Some(pause),
            },
        }
    }

    /// Returns after what time to reconcile again without an event.
    #[must_use]
    pub fn requeue(self, rng: &mut impl Rng) -> Duration {
        let safety_net = Duration::from_secs(rng.random_range(40 * 60..=60 * 60));
        match self {
            Self::ConvergedUntil(due) | Self::Waiting { after: Some(due), .. } => due.min(safety_net),
            Self::Converged | Self::Waiting { after: None, .. } | Self::Rejected { .. } => safety_net,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::Outcome;

    proptest! {
        #[test]
        fn every_object_is_reconciled_within_an_hour(seed: u64, seconds in 1_u64..1_000_000) {
            let rng = &mut SmallRng::seed_from_u64(seed);
            let due = Duration::from_secs(seconds);
            let net = Duration::from_mins(40)..=Duration::from_hours(1);
            let without_due_time = [
                Outcome::Converged,
                Outcome::Rejected { reason: "x" },
                Outcome::Waiting { reason: "x", after: None },
            ];
            for outcome in without_due_time {
                let after = outcome.requeue(rng);
                prop_assert!(net.contains(&after), "{after:?}");
            }
            for outcome in [Outcome::ConvergedUntil(due), Outcome::Waiting { reason: "x", after: Some(due) }] {
                let after = outcome.requeue(rng);
                prop_assert!(after <= due && (after == due || net.contains(&after)));
            }
        }
    }

    #[test]
    fn an_earlier_requeue_is_kept() {
        let [short, long] = [1, 9].map(Duration::from_secs);
        let waiting = |after| Outcome::Waiting { reason: "x", after };
        for (outcome, expected) in [
            (Outcome::Converged, Outcome::ConvergedUntil(short)),
            (Outcome::ConvergedUntil(long), Outcome::ConvergedUntil(short)),
            (waiting(None), waiting(Some(short))),
            (waiting(Some(Duration::ZERO)), waiting(Some(Duration::ZERO))),
            (Outcome::Rejected { reason: "x" }, waiting(Some(short))),
        ] {
            assert_eq!(outcome.no_later_than(short), expected, "{outcome:?}");
        }
    }

    #[test]
    fn labels_and_reasons() {
        let cases = [
            (Outcome::Converged, "converged", None),
            (Outcome::ConvergedUntil(Duration::ZERO), "converged", None),
            (
                Outcome::Waiting {
                    reason: "w",
                    after: None,
                },
                "waiting",
                Some("w"),
            ),
            (Outcome::Rejected { reason: "r" }, "rejected", Some("r")),
        ];
        for (outcome, label, reason) in cases {
            assert_eq!((outcome.label(), outcome.reason()), (label, reason));
        }
    }
}
