//! A TLS connection to a pod that shows the certificate it was given, and to nobody else.
//!
//! In every `sslMode` the leaf must be the expected one, and the server must have its key: otherwise the handshake fails
//! before anything about the login is sent, a client certificate included. In addition what is presented is verified as
//! clients verify it: `verify-ca` by its chain, `verify-full` by chain and name. That is the verification that the certificate
//! Secret has passed before, so that what was accepted there is accepted here. What was presented is recorded, accepted or
//! not. Opens no connection itself: the caller passes the stream.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

use operator_runtime::{PresentedVerifier, clock};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use shared_types::SslMode;
use tls_bundle::{Failure, Fingerprint, Required, Role};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::sniffer::ResponseSniffer;
use super::transcript::{Refusal, Transcript};
use super::{Access, ClientCertificate, ExpectedCertificate};

#[cfg(test)]
mod tests;

/// Why a TLS connection cannot be attempted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSetupError {
    #[error("the client certificate cannot be read: {0}")]
    ClientCertificate(#[source] pem::Error),
    #[error("TLS cannot be set up: {0}")]
    Settings(#[source] rustls::Error),
    #[error("the name of the server is neither a DNS name nor an address: {0}")]
    ServerName(#[source] rustls_pki_types::InvalidDnsNameError),
}

/// Makes one TLS connection; implements the interface of `tokio-postgres` to a TLS library.
pub(super) struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    transcript: Transcript,
}

impl Connector {
    /// Prepares a connection to a server with the certificate `expected`, which is verified as `mode` demands, too. Without
    /// `expected` no server is accepted. The transcript shows what the connection observes.
    pub(super) fn new(
        access: &Access,
        expected: Option<ExpectedCertificate>,
        mode: SslMode,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(Self, Transcript), TlsSetupError> {
        let transcript = Transcript::default();
        let name = access.server_names.first().cloned();
        // rustls wants one even where none is verified, and sends no address to the server.
        let name = name.unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string());
        let name = ServerName::try_from(name).map_err(TlsSetupError::ServerName)?;
        let rule = Rule {
            expected,
            required: required(access, mode),
            transcript: transcript.clone(),
        };
        let verifier = PresentedVerifier::new(provider.clone(), move |leaf, others| rule.check(leaf, others));
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsSetupError::Settings)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &access.client {
            Some(pair) => {
                let (chain, key) = parse(pair).map_err(TlsSetupError::ClientCertificate)?;
                let key = provider.key_provider.load_private_key(key);
                // Not the usual way, which reads the whole certificate and refuses some that pgpool accepts. That the key
                // belongs to it has been verified.
                let pair = CertifiedKey::new(chain, key.map_err(TlsSetupError::Settings)?);
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
            None => config.with_no_client_auth(),
        };
        // Every connection shows the certificate anew.
        config.resumption = Resumption::disabled();
        let connector = Self {
            config: Arc::new(config),
            name,
            transcript: transcript.clone(),
        };
        Ok((connector, transcript))
    }
}

/// What clients with this `sslMode` demand of a certificate: one of these, or nothing if there are none.
fn required(access: &Access, mode: SslMode) -> Vec<Required> {
    let named = |dns_names| Required {
        role: Role::Server,
        dns_names,
        ip_addresses: Vec::new(),
        common_name: None,
        // That clients lack a CA is reported by ops-manager, and is no fault of the pod.
        ca_required: false,
    };
    match mode {
        SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => Vec::new(),
        SslMode::VerifyFull if !access.server_names.is_empty() => {
            let names = access.server_names.iter();
            names.map(|name| named(vec![name.clone()])).collect()
        }
        SslMode::VerifyCa | SslMode::VerifyFull => vec![named(Vec::new())],
    }
}

fn parse(
    pair: &ClientCertificate,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), pem::Error> {
    let chain = CertificateDer::pem_slice_iter(&pair.chain).collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&pair.key)?;
    Ok((chain, key))
}

/// Which certificates are accepted from one pod. Records what is presented before verifying it.
struct Rule {
    expected: Option<ExpectedCertificate>,
    /// One of them is enough.
    required: Vec<Required>,
    transcript: Transcript,
}

impl Rule {
    fn check(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        self.transcript.record_leaf(leaf);
        let fingerprint = Fingerprint::of_der(leaf);
        let expected = self.expected.as_ref().filter(|it| it.leaf == fingerprint);
        let Some(expected) = expected else {
            return Err(self.refused(Refusal::Certificate));
        };
        match self.unverified(expected, leaf, others) {
            Some(failure) => Err(self.refused(Refusal::Unverified(Box::new(failure)))),
            None => Ok(()),
        }
    }

    fn unverified(
        &self,
        expected: &ExpectedCertificate,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Option<Failure> {
        let chain: Vec<_> = std::iter::once(leaf).chain(others).cloned().collect();
        let ca = expected.ca.as_deref();
        let now = clock::now();
        let verify = |required| {
            let verification = tls_bundle::verify_presented(&chain, ca, required, now);
            verification.failures.into_iter().next()
        };
        let mut failures = self.required.iter().map(verify);
        let first = failures.next()??;
        failures.all(|failure| failure.is_some()).then_some(first)
    }

    fn refused(&self, refusal: Refusal) -> rustls::Error {
        self.transcript.record_refusal(refusal);
        CertificateError::ApplicationVerificationFailure.into()
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
