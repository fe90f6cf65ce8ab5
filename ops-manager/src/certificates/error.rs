//! What can fail while the certificates of a Pgpool are looked after: I/O, and nothing else.

use operator_runtime::Classified;
use operator_runtime::apply::ApplyError;

/// A failed step, by its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A Certificate could not be written or deleted.
    #[error("could not apply the certificates: {0}")]
    Apply(#[source] ApplyError),
    /// cert-manager could not be asked for a new certificate.
    #[error("could not ask for a new certificate: {0}")]
    Reissue(#[source] ApplyError),
    /// The owner of an issued Secret could not be written.
    #[error("could not own an issued Secret: {0}")]
    Adopt(#[source] ApplyError),
    /// The status could not be written.
    #[error("could not write the status: {0}")]
    Status(#[source] ApplyError),
}

impl Classified for Error {
    fn class(&self) -> &'static str {
        match self {
            Self::Apply(error) | Self::Reissue(error) | Self::Adopt(error) | Self::Status(error) => {
                error.class()
            }
        }
    }
}
