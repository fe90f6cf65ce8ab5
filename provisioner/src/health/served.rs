//! The certificate that a pod served in a handshake.

use jiff::Timestamp;
use tls_bundle::Fingerprint;

/// A certificate that a pod served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedCertificate {
    /// SHA-256 of the DER form.
    pub(crate) fingerprint: Fingerprint,
    /// End of validity; `None` when the certificate cannot be parsed.
    pub(crate) not_after: Option<Timestamp>,
}

impl ServedCertificate {
    pub(super) fn of_der(der: &[u8]) -> Self {
        Self {
            fingerprint: Fingerprint::of_der(der),
            not_after: tls_bundle::leaf_of_der(der).map(|leaf| leaf.not_after),
        }
    }
}
