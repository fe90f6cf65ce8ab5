//! What is no fault of the server's own files, but keeps clients from verifying the certificate with `ca.crt`.

use crate::Failure;

/// Why `ca.crt` is not enough for clients. `Display` is a sentence without the name of the Secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// `ca.crt` is missing or empty, as with ACME issuers.
    #[error(
        "ca.crt is missing or empty, so clients cannot verify the certificate with it; give them the certificate of {issuer:?}, \
         or of the root CA above it, in the file that sslrootcert names"
    )]
    CaMissing {
        /// The issuer of the last certificate in `tls.crt`.
        issuer: String,
    },
    /// The chain is valid up to a certificate of `ca.crt`, which is not self-signed. OpenSSL, and with it psql, accepts
    /// self-signed certificates only as the end of a chain.
    #[error(
        "ca.crt holds no self-signed CA above {subject:?}, so psql and other clients with OpenSSL cannot verify the \
         certificate with it; give them the certificate of {issuer:?} in the file that sslrootcert names"
    )]
    RootMissing {
        /// The last certificate of the chain.
        subject: String,
        /// Its issuer, whose certificate clients need.
        issuer: String,
    },
}

impl From<Warning> for Failure {
    fn from(warning: Warning) -> Self {
        match warning {
            Warning::CaMissing { .. } => Self::CaMissing,
            Warning::RootMissing { subject, issuer } => Self::RootMissing { subject, issuer },
        }
    }
}
