//! Which clients may use the channel: those with a certificate of the channel's CA that has one of the allowed DNS names.
//! The issuer may serve others, too, so being signed by the CA is not enough.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// The allowed names.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientNames(Arc<[ServerName<'static>]>);

impl ClientNames {
    /// # Errors
    /// Returns the first name that is neither a DNS name nor an IP address.
    pub(super) fn parse(names: &[String]) -> Result<Self, String> {
        let parse = |name: &String| ServerName::try_from(name.clone()).map_err(|_| name.clone());
        names.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a certificate has one of the names, as subject alternative name. The common name does not count.
    fn admit(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        if self
            .0
            .iter()
            .any(|name| verify_server_name(&parsed, name).is_ok())
        {
            return Ok(());
        }
        Err(CertificateError::NotValidForName.into())
    }
}

/// Verifies the chain of a client, and then its name.
#[derive(Debug)]
pub(super) struct NamedClientVerifier {
    pub(super) chain: Arc<dyn ClientCertVerifier>,
    pub(super) names: ClientNames,
}

impl ClientCertVerifier for NamedClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        self.names.admit(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
