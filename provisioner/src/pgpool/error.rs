//! What can fail in a reconcile: talking to the API server, and nothing else. One variant per step.

use operator_runtime::Classified;
use operator_runtime::apply::ApplyError;

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused a question that observing asks.
    #[error("{what} could not be read")]
    Observe {
        /// Kind, `namespace/name`.
        what: String,
        /// The answer.
        #[source]
        source: kube::Error,
    },
    /// The API server did not answer it in time.
    #[error("the API server did not answer in time about {what}")]
    ObserveTimeout {
        /// Kind, `namespace/name`.
        what: String,
    },
    /// An owned object could not be written.
    #[error("the objects of the Pgpool could not be brought up to date")]
    Apply(#[source] ApplyError),
    /// The status could not be written.
    #[error("the status could not be written")]
    Status(#[source] ApplyError),
}

impl Classified for Error {
    fn class(&self) -> &'static str {
        match self {
            Self::Observe { .. } => "observe",
            Self::ObserveTimeout { .. } => "observe-timeout",
            Self::Apply(source) => source.class(),
            Self::Status(_) => "status",
        }
    }
}
