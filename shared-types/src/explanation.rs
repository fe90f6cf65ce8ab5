//! Why something is not done yet, in the form in which every step of both operators hands it on.
//!
//! A step that cannot continue returns an [`Explanation`]. Whether a person has to act is the difference between
//! [`Blocked::Waiting`] and [`Blocked::Stuck`]. The report step turns it into a condition.

use std::fmt;
use std::time::Duration;

use crate::conditions::Reason;

/// Why something is not done yet: the reason and message of a condition, and when to check again.
///
/// `R` is [`Reason`] for a `Pgpool`, [`OpsReason`](crate::conditions::OpsReason) for a `PgpoolOpsRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<R = Reason> {
    /// The reason of the condition.
    pub reason: R,
    /// The message of the condition: names the object, what is wrong, and how to fix it.
    pub message: String,
    /// When to reconcile again. `None` if a watch event triggers the next pass.
    pub retry_after: Option<Duration>,
}

impl<R> Explanation<R> {
    /// An explanation of something that a watch event resolves.
    #[must_use]
    pub fn new(reason: R, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Reconciles again after `delay`, or earlier if an earlier time is set already.
    #[must_use]
    pub fn after(mut self, delay: impl Into<Option<Duration>>) -> Self {
        self.retry_after = earlier(self.retry_after, delay.into());
        self
    }
}

/// Only the message: conditions carry the reason in a field of its own.
impl<R> fmt::Display for Explanation<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why something cannot continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked<R = Reason> {
    /// Not known: caches are syncing or the API server is unreachable. The status stays as it is.
    Unknown,
    /// In progress: continues without intervention.
    Waiting(Explanation<R>),
    /// Continues only after someone has fixed what the message names.
    Stuck(Explanation<R>),
}

impl<R> Blocked<R> {
    /// Waits for what the message names.
    #[must_use]
    pub fn waiting(reason: R, message: impl Into<String>) -> Self {
        Self::Waiting(Explanation::new(reason, message))
    }

    /// Needs someone to fix what the message names.
    #[must_use]
    pub fn stuck(reason: R, message: impl Into<String>) -> Self {
        Self::Stuck(Explanation::new(reason, message))
    }

    /// Reconciles again after `delay`, or earlier if an earlier time is set already. Has no effect on `Unknown`.
    #[must_use]
    pub fn after(self, delay: impl Into<Option<Duration>>) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Waiting(explanation) => Self::Waiting(explanation.after(delay)),
            Self::Stuck(explanation) => Self::Stuck(explanation.after(delay)),
        }
    }

    /// The explanation; none of what is unknown.
    #[must_use]
    pub fn explanation(&self) -> Option<&Explanation<R>> {
        match self {
            Self::Unknown => None,
            Self::Waiting(explanation) | Self::Stuck(explanation) => Some(explanation),
        }
    }

    /// When to reconcile again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.explanation().and_then(|explanation| explanation.retry_after)
    }
}

/// The earlier of two optional delays.
#[must_use]
pub fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_delay_wins() {
        let second = Duration::from_secs(1);
        let waiting = Blocked::waiting(Reason::WaitingForPods, "Waiting for pod pool-0 to become ready");
        assert_eq!(waiting.retry_after(), None);
        let waiting = waiting.after(5 * second);
        assert_eq!(waiting.retry_after(), Some(5 * second));
        let waiting = waiting.after(None).after(9 * second);
        assert_eq!(waiting.retry_after(), Some(5 * second));
        assert_eq!(waiting.after(second).retry_after(), Some(second));
        assert_eq!(Blocked::<Reason>::Unknown.after(second), Blocked::Unknown);
    }
}
