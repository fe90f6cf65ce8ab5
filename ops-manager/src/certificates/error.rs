//! What can fail in the reconcile of the certificates: I/O only.

use operator_runtime::Classified;
use operator_runtime::apply::ApplyError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not apply the certificates: {0}")]
    Apply(#[source] ApplyError),
    #[error("could not request a new certificate: {0}")]
    Renew(#[source] ApplyError),
    #[error("could not add owners to an issued Secret: {0}")]
    Adopt(#[source] ApplyError),
    #[error("could not write the status: {0}")]
    Status(#[source] ApplyError),
}

impl Classified for Error {
    fn class(&self) -> &'static str {
        match self {
            Self::Apply(error) | Self::Renew(error) | Self::Adopt(error) | Self::Status(error) => {
                error.class()
            }
        }
    }
}
