//! Sums up the probes of one pod. Pure.

use std::borrow::Cow;

use shared_types::conditions::Reason;

use super::{LoginFailure, Probe, ServedCertificate};

/// What the probes of a pod have shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodHealth {
    /// `None` without TLS.
    pub(crate) served: Option<ServedCertificate>,
    pub(crate) login: Login,
    /// Failed probes in a row.
    pub(crate) failures: u32,
}

/// Whether a pod accepts logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// Login and query succeeded.
    Accepted,
    /// Login and query succeeded; writes would fail.
    ReadOnly {
        /// What is wrong and how to fix it, in one sentence.
        message: String,
    },
    /// Login or query failed.
    Refused {
        /// Identifies the failure: two messages with the same fault are the same result.
        fault: Cow<'static, str>,
        /// The reason that conditions report, if the failure has one of its own.
        reason: Option<Reason>,
        /// What is wrong and how to fix it, in one sentence.
        message: String,
    },
}

impl Login {
    fn from_failure(failure: &LoginFailure) -> Self {
        let message = failure.to_string();
        match failure {
            LoginFailure::ReadOnly { .. } => Self::ReadOnly { message },
            _ => Self::Refused {
                fault: failure.fault(),
                reason: failure.reason(),
                message,
            },
        }
    }

    /// The reason that a condition reports for this failure, if it has one of its own.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { reason, .. } => *reason,
            Self::Accepted | Self::ReadOnly { .. } => None,
        }
    }

    /// Whether clients can log in, even if only to read.
    pub(crate) fn is_usable(&self) -> bool {
        matches!(self, Self::Accepted | Self::ReadOnly { .. })
    }

    /// What is wrong and how to fix it; `None` when nothing is.
    pub(crate) fn problem(&self) -> Option<&str> {
        match self {
            Self::Accepted => None,
            Self::ReadOnly { message } | Self::Refused { message, .. } => Some(message),
        }
    }
}

impl PodHealth {
    /// Adds the result of one probe. A pod that accepted logins counts as refusing them after `threshold` failures in a
    /// row; a pod that has never accepted one, after the first failure.
    pub(crate) fn after(before: Option<&Self>, probe: Probe, threshold: u32) -> Self {
        let failure = match probe.login {
            Ok(()) => {
                return Self {
                    served: probe.served,
                    login: Login::Accepted,
                    failures: 0,
                };
            }
            Err(failure) => failure,
        };
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let login = match before.map(|before| &before.login) {
            Some(Login::Accepted) if failures < threshold => Login::Accepted,
            // The first message of a fault stays: a later one triggers no reconcile, so no status would show it.
            Some(same @ Login::Refused { fault, .. }) if *fault == failure.fault() => same.clone(),
            _ => Login::from_failure(&failure),
        };
        // A connection that fails before the handshake yields no certificate. While logins are accepted, keep the last
        // known one.
        let last_served = match login {
            Login::Accepted | Login::ReadOnly { .. } => before.and_then(|before| before.served.clone()),
            Login::Refused { .. } => None,
        };
        Self {
            served: probe.served.or(last_served),
            login,
            failures,
        }
    }

    /// Whether a reconcile has to see the change. Only the fault of a failure counts: its message may vary from probe to
    /// probe, and a broken pod must not cost a status write per period.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let same_login = match (&self.login, &other.login) {
            (Login::Accepted, Login::Accepted) | (Login::ReadOnly { .. }, Login::ReadOnly { .. }) => true,
            (Login::Refused { fault: a, .. }, Login::Refused { fault: b, .. }) => a == b,
            _ => false,
        };
        !same_login || self.served != other.served
    }
}
