//! What can fail in the reconcile of a request: I/O only.

use operator_runtime::Classified;
use operator_runtime::apply::ApplyError;
use operator_runtime::error_chain;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not read {what}: {}", error_chain(source.as_ref()))]
    Observe {
        what: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("the API server did not answer in time: {what}")]
    Timeout { what: String },
    #[error("could not write {what}: {}", error_chain(source.as_ref()))]
    Apply {
        what: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("could not write {what}: {}", error_chain(source))]
    Serialize {
        what: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("could not request a new certificate: {0}")]
    Renew(#[source] ApplyError),
    #[error("could not write the status: {0}")]
    Status(#[source] ApplyError),
}

impl Classified for Error {
    fn class(&self) -> &'static str {
        match self {
            Self::Observe { .. } => "read",
            Self::Timeout { .. } => "timeout",
            Self::Apply { .. } => "write",
            Self::Serialize { .. } => "serialize",
            Self::Renew(error) | Self::Status(error) => error.class(),
        }
    }
}
