//! Verifies what a TLS server presents in a handshake by a rule of the caller. That the server has the key of its leaf
//! certificate is verified in any case.
//!
//! rustls refuses some certificates that OpenSSL accepts, such as one with critical certificate policies, when it verifies
//! the signature of a handshake. Here `tls_bundle` reads the public key, and the rest is up to the rule.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use webpki::RawPublicKeyEntity;

/// Accepts servers whose certificates satisfy `rule`, which gets the leaf and then what was presented beside it.
pub struct PresentedVerifier<F> {
    rule: F,
    provider: Arc<CryptoProvider>,
}

impl<F> PresentedVerifier<F>
where
    F: Fn(&CertificateDer<'_>, &[CertificateDer<'_>]) -> Result<(), Error> + Send + Sync,
{
    /// `provider` verifies the signature of the handshake.
    pub const fn new(provider: Arc<CryptoProvider>, rule: F) -> Self {
        Self { rule, provider }
    }
}

impl<F> fmt::Debug for PresentedVerifier<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedVerifier")
    }
}

impl<F> ServerCertVerifier for PresentedVerifier<F>
where
    F: Fn(&CertificateDer<'_>, &[CertificateDer<'_>]) -> Result<(), Error> + Send + Sync,
{
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        (self.rule)(leaf, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(leaf)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let known = self.provider.signature_verification_algorithms.mapping;
        let algorithms = known.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        // TLS 1.2 names no curve, so each is tried; another curve than the key's is a failure like any other.
        let mut algorithms = algorithms.flat_map(|(_, algorithms)| algorithms.iter());
        let is_valid = algorithms.any(|algorithm| {
            key.verify_signature(*algorithm, message, signed.signature())
                .is_ok()
        });
        if is_valid {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &public_key(leaf)?, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn public_key<'a>(leaf: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    tls_bundle::public_key_of_der(leaf).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}
