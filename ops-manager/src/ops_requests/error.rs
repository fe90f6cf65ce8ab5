//! What can fail while a request is carried out: I/O, and nothing else.

use operator_runtime::Classified;
use operator_runtime::apply::ApplyError;
use operator_runtime::error_chain;

/// A failed step, by its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something could not be read.
    #[error("could not read {what}: {}", error_chain(source.as_ref()))]
    Observe {
        /// Kind and name.
        what: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server was silent.
    #[error("the API server did not answer in time about {what}")]
    Timeout {
        /// Kind and name.
        what: String,
    },
    /// Something could not be written.
    #[error("could not write {what}: {}", error_chain(source.as_ref()))]
    Apply {
        /// Kind and name.
        what: String,
        /// The answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// A change could not be turned into JSON.
    #[error("could not write {what}: {source}")]
    Serialize {
        /// Kind and name.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// cert-manager could not be asked for a certificate.
    #[error("could not have a certificate issued anew: {0}")]
    Reissue(#[source] ApplyError),
    /// The status could not be written.
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
            Self::Reissue(error) | Self::Status(error) => error.class(),
        }
    }
}
