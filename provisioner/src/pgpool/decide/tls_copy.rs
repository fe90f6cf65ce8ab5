//! The certificates that a TLS copy is made of. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use rustls_pki_types::CertificateDer;
use shared_types::Alias;
use tls_bundle::Leaf;

use crate::pgpool::observe::Certificate;

/// A CA that is trusted for what it has signed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormerCa {
    pub(crate) der: CertificateDer<'static>,
    /// Since when no certificate Secret contains it.
    pub(crate) since: Timestamp,
}

/// Verified certificates, as PEM.
#[derive(Clone)]
pub(crate) struct TlsMaterial<'a> {
    /// `tls.crt` of the server Secret: leaf first, then intermediates.
    pub(crate) certificate: &'a [u8],
    /// `tls.key` of the server Secret.
    pub(crate) key: &'a [u8],
    /// `ca.crt` of the server Secret; empty if its issuer publishes no CA, as those of all others.
    pub(crate) ca: &'a [u8],
    /// `ca.crt` of the client Secret; may be the same.
    pub(crate) client_ca: &'a [u8],
    /// `tls.crt` of the metrics exporter's Secret.
    pub(crate) exporter_certificate: &'a [u8],
    /// `tls.key` of the metrics exporter's Secret.
    pub(crate) exporter_key: &'a [u8],
    /// `ca.crt` of the metrics exporter's Secret; may be the same.
    pub(crate) exporter_ca: &'a [u8],
    /// CAs that no certificate Secret contains any more, and that stay trusted for a while.
    pub(crate) former_cas: Vec<FormerCa>,
}

impl<'a> TlsMaterial<'a> {
    pub(super) fn of(certificates: &'a [Certificate]) -> Option<Self> {
        let entry = |alias, key| entry(certificates, alias, key);
        Some(Self {
            certificate: entry(Alias::Server, "tls.crt")?,
            key: entry(Alias::Server, "tls.key")?,
            ca: entry(Alias::Server, "ca.crt").unwrap_or_default(),
            client_ca: entry(Alias::Client, "ca.crt").unwrap_or_default(),
            exporter_certificate: entry(Alias::MetricsExporter, "tls.crt")?,
            exporter_key: entry(Alias::MetricsExporter, "tls.key")?,
            exporter_ca: entry(Alias::MetricsExporter, "ca.crt").unwrap_or_default(),
            former_cas: Vec::new(),
        })
    }
}

/// The certificates of the server in a TLS copy, as PEM: leaf first, then intermediates.
pub(super) fn certificate(copy: &Secret) -> Option<&[u8]> {
    Some(copy.data.as_ref()?.get("tls.crt")?.0.as_slice())
}

/// The leaf certificate of the server in a TLS copy; `None` if it cannot be read.
pub(super) fn leaf(copy: &Secret) -> Option<Leaf> {
    tls_bundle::leaf(certificate(copy)?)
}

/// The CA of the server certificate in a TLS copy; `None` if its issuer publishes none. Copies of earlier releases have it
/// among all CAs.
pub(super) fn server_ca(copy: &Secret) -> Option<&[u8]> {
    let data = copy.data.as_ref()?;
    let ca = data.get("server-ca.pem").or(data.get("ca.pem"))?;
    Some(ca.0.as_slice()).filter(|ca| !ca.trim_ascii().is_empty())
}

/// An entry of a certificate Secret.
pub(super) fn entry<'a>(certificates: &'a [Certificate], alias: Alias, key: &str) -> Option<&'a [u8]> {
    let mut certificates = certificates.iter();
    let certificate = certificates.find(|certificate| certificate.alias == alias)?;
    let data = certificate.secret.present()?.data.as_ref()?;
    Some(data.get(key)?.0.as_slice())
}
