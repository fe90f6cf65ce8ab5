//! What can fail in a reconcile: requests to the API server, and nothing else. One variant per step.

use operator_runtime::Classified;
use operator_runtime::apply::ApplyError;

/// Why a reconcile failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A read was rejected.
    #[error("{what} could not be read")]
    Observe {
        /// Kind, `namespace/name`.
        what: String,
        #[source]
        source: kube::Error,
    },
    /// A read took too long.
    #[error("the API server did not answer in time about {what}")]
    ObserveTimeout {
        /// Kind, `namespace/name`.
        what: String,
    },
    #[error("the objects of the Pgpool could not be brought up to date")]
    Apply(#[source] ApplyError),
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
