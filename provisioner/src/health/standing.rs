//! What the results of a pod's checks add up to. Pure.

use std::borrow::Cow;

use shared_types::conditions::Reason;

use super::{LoginFailure, Probe, Served, login};

/// What is known of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The certificate that it serves; `None` without TLS.
    pub(crate) served: Option<Served>,
    /// Whether it accepts logins.
    pub(crate) login: Login,
    /// Failed checks in a row.
    pub(crate) failures: u32,
}

/// Whether a pod accepts logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// Login and query went through.
    Accepted,
    /// They did, but writes would not.
    ReadOnly {
        /// What is wrong and what helps, in one sentence.
        message: String,
    },
    /// They did not.
    Refused {
        /// What fails: two wordings of one fault are no news to each other.
        fault: Cow<'static, str>,
        /// What is wrong and what helps, in one sentence.
        message: String,
    },
}

impl Login {
    /// The reason that a condition gives for a refusal, where there is a particular one.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { fault, .. } if fault == login::BACKEND_REFUSES => {
                Some(Reason::BackendRejectsPool)
            }
            Self::Refused { fault, .. } if fault == login::BACKEND_UNTRUSTED => {
                Some(Reason::BackendCertificateUntrusted)
            }
            _ => None,
        }
    }

    fn failed(failure: &LoginFailure) -> Self {
        let message = failure.to_string();
        match failure {
            LoginFailure::ReadOnly { .. } => Self::ReadOnly { message },
            _ => Self::Refused {
                fault: failure.fault(),
                message,
            },
        }
    }

    /// Whether clients get in, be it only to read.
    pub(crate) fn lets_in(&self) -> bool {
        matches!(self, Self::Accepted | Self::ReadOnly { .. })
    }

    /// What is wrong, if anything.
    pub(crate) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Accepted => None,
            Self::ReadOnly { message } | Self::Refused { message, .. } => Some(message),
        }
    }
}

impl Standing {
    /// Whether somebody has to be told. The wording of a failure may vary from check to check; only the fault counts,
    /// so that a broken pod does not cost a status write in each period.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let same_login = match (&self.login, &other.login) {
            (Login::Accepted, Login::Accepted) | (Login::ReadOnly { .. }, Login::ReadOnly { .. }) => true,
            (Login::Refused { fault: a, .. }, Login::Refused { fault: b, .. }) => a == b,
            _ => false,
        };
        !same_login || self.served != other.served
    }
}

/// Adds one result. A pod that accepted logins is given `threshold` failures in a row before it counts as refusing;
/// one that never did counts as refusing at once.
pub(crate) fn judge(before: Option<&Standing>, probe: Probe, threshold: u32) -> Standing {
    let failure = match probe.login {
        Ok(()) => {
            return Standing {
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
        // The first wording of a fault stays, as the board would otherwise hold what nobody was told.
        Some(same @ Login::Refused { fault, .. }) if *fault == failure.fault() => same.clone(),
        _ => Login::failed(&failure),
    };
    // A connection that broke before the handshake says nothing about the certificate.
    let served = probe.served.or_else(|| match login {
        Login::Accepted | Login::ReadOnly { .. } => before.and_then(|before| before.served.clone()),
        Login::Refused { .. } => None,
    });
    Standing {
        served,
        login,
        failures,
    }
}
