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
        let not_after = x509_parser::parse_x509_certificate(der)
            .ok()
            .and_then(|(_, leaf)| Timestamp::from_second(leaf.validity().not_after.timestamp()).ok());
        Self {
            fingerprint: Fingerprint::of_der(der),
            not_after,
        }
    }
}
