//! Why a `Pgpool` cannot become [`Validated`](super::Validated) now.

use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;

/// What is in the way. Values, not errors: nothing failed, the world is not as the spec needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// The watch on an object has not answered yet. Lasts for moments after a start or a change of the spec: no
    /// reason to write a status, since what was true before probably still is.
    Reading {
        /// The object, as a person would name it.
        what: String,
    },
    /// Something is missing that may appear without a change of the `Pgpool`.
    Waiting {
        /// For the condition.
        reason: Reason,
        /// A sentence that names the object and the cure.
        message: String,
    },
    /// Only an edit, of the `Pgpool` or of an object it names, can mend it.
    Rejected {
        /// For the condition.
        reason: Reason,
        /// A sentence that names the object and the cure.
        message: String,
    },
}

impl Unmet {
    /// A [`Unmet::Waiting`].
    pub(crate) fn waiting(reason: Reason, message: impl Into<String>) -> Self {
        Self::Waiting {
            reason,
            message: message.into(),
        }
    }

    /// A [`Unmet::Rejected`].
    pub(crate) fn rejected(reason: Reason, message: impl Into<String>) -> Self {
        Self::Rejected {
            reason,
            message: message.into(),
        }
    }
}

impl From<Unmet> for Blocked {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::Reading { .. } => Self::Unknown,
            Unmet::Waiting { reason, message } => Self::waiting(reason, message),
            Unmet::Rejected { reason, message } => Self::stuck(reason, message),
        }
    }
}
