//! A TLS connection to a pod that shows the certificate it was given, and to nobody else.
//!
//! In every `sslMode` the leaf must be the expected one, and the server must have its key: otherwise the handshake fails
//! before anything about the login is sent, a client certificate included. In addition the certificate is verified as
//! clients verify it: `verify-ca` by its chain, `verify-full` by chain and name. What was presented is recorded, accepted or
//! not. Opens no connection itself: the caller passes the stream.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use shared_types::SslMode;
use tls_bundle::Fingerprint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::sniffer::ResponseSniffer;
use super::transcript::{Refusal, Transcript};
use super::{Access, ClientCertificate};

#[cfg(test)]
mod tests;

/// Why a TLS connection cannot be attempted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSetupError {
    #[error("the trust bundle of the pods cannot be read: {0}")]
    TrustBundle(#[source] pem::Error),
    #[error("the trust bundle of the pods has no usable CA certificate: {0}")]
    Cas(#[source] rustls::client::VerifierBuilderError),
    #[error("the client certificate cannot be read: {0}")]
    ClientCertificate(#[source] pem::Error),
    #[error("TLS cannot be set up: {0}")]
    Settings(#[source] rustls::Error),
    #[error("the name of the Service is not a DNS name: {0}")]
    ServerName(#[source] rustls_pki_types::InvalidDnsNameError),
}

/// Makes one TLS connection; implements the interface of `tokio-postgres` to a TLS library.
pub(super) struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    transcript: Transcript,
}

impl Connector {
    /// Prepares a connection to a server with the leaf certificate `expected`, which is verified as `mode` demands, too.
    /// Without `expected` no server is accepted. The transcript shows what the connection observes.
    pub(super) fn new(
        access: &Access,
        expected: Option<Fingerprint>,
        mode: SslMode,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(Self, Transcript), TlsSetupError> {
        let transcript = Transcript::default();
        let verifier = PodVerifier {
            expected,
            transcript: transcript.clone(),
            provider: provider.clone(),
            chain: match mode {
                SslMode::VerifyCa | SslMode::VerifyFull => Some(chain_verifier(&access.trust, provider)?),
                SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => None,
            },
            verifies_name: mode == SslMode::VerifyFull,
        };
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::Settings)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &access.client {
            Some(pair) => {
                let (chain, key) = parse(pair).map_err(TlsSetupError::ClientCertificate)?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(TlsSetupError::Settings)?
            }
            None => config.with_no_client_auth(),
        };
        // Every connection shows the certificate anew.
        config.resumption = Resumption::disabled();
        let connector = Self {
            config: Arc::new(config),
            name: ServerName::try_from(access.server_name.clone()).map_err(TlsSetupError::ServerName)?,
            transcript: transcript.clone(),
        };
        Ok((connector, transcript))
    }
}

fn chain_verifier(
    trust: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    let cas: Vec<_> = CertificateDer::pem_slice_iter(trust)
        .collect::<Result<_, _>>()
        .map_err(TlsSetupError::TrustBundle)?;
    // One CA certificate that rustls cannot parse must not cost the others; if none is left, `build` fails.
    roots.add_parsable_certificates(cas);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(TlsSetupError::Cas)
}

fn parse(
    pair: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), pem::Error> {
    let chain = CertificateDer::pem_slice_iter(&pair.chain).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&pair.key)?;
    Ok((chain, key))
}

/// Accepts the leaf certificate of one pod. Records what is presented before verifying it.
#[derive(Debug)]
struct PodVerifier {
    expected: Option<Fingerprint>,
    transcript: Transcript,
    provider: Arc<CryptoProvider>,
    /// `None` accepts any chain.
    chain: Option<Arc<WebPkiServerVerifier>>,
    verifies_name: bool,
}

impl ServerCertVerifier for PodVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.transcript.record_leaf(end_entity);
        if self.expected != Some(Fingerprint::of_der(end_entity)) {
            self.transcript.record_refusal(Refusal::Certificate);
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is verified last, so the chain is valid here.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.verifies_name => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    // Signatures are verified in every mode: they prove that the pod has the key of the leaf certificate.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The stream of a [`Connector`].
pub(super) type Stream<S> = ResponseSniffer<Box<tokio_rustls::client::TlsStream<S>>>;

impl<S> TlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        self.transcript.record_tls_start();
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(self.config);
            let stream = Box::new(connector.connect(self.name, stream).await?);
            // The server has proven that it is the pod, so an md5 hash gives nothing away.
            Ok(ResponseSniffer::guarding(stream, self.transcript, true))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    /// Pgpool offers no channel binding.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
