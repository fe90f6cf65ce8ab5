//! A TLS connection that remembers which certificate the other side served, whether or not it pleases.
//!
//! How strictly the certificate is judged follows `sslMode`, as libpq does it: up to `require` not at all, `verify-ca`
//! by its chain, `verify-full` by chain and name. Touches no network by itself: the caller brings the stream.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use shared_types::SslMode;
use tls_bundle::Fingerprint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::tap::{REMEMBERED, Tap};
use super::{Access, ClientPair};

#[cfg(test)]
mod tests;

/// A certificate that a pod served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// SHA-256 of its DER form.
    pub(crate) fingerprint: Fingerprint,
    /// End of its validity; `None` when it cannot be read.
    pub(crate) not_after: Option<Timestamp>,
}

impl Served {
    fn of_der(der: &[u8]) -> Self {
        let not_after = x509_parser::parse_x509_certificate(der)
            .ok()
            .and_then(|(_, leaf)| Timestamp::from_second(leaf.validity().not_after.timestamp()).ok());
        Self {
            fingerprint: Fingerprint::of_der(der),
            not_after,
        }
    }
}

/// Why no TLS connection can even be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// The trust bundle holds no usable authority.
    #[error("the trust bundle of the pods cannot be read: {0}")]
    Trust(#[source] rustls_pki_types::pem::Error),
    /// The authorities are not accepted.
    #[error("the trust bundle of the pods is not usable: {0}")]
    Authorities(#[source] rustls::client::VerifierBuilderError),
    /// The client certificate cannot be read.
    #[error("the client certificate cannot be read: {0}")]
    Client(#[source] rustls_pki_types::pem::Error),
    /// TLS refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Settings(#[source] rustls::Error),
    /// The name of the Service is no DNS name.
    #[error("the name of the Service is no DNS name: {0}")]
    Name(#[source] rustls_pki_types::InvalidDnsNameError),
}

/// What the handshake has shown so far; readable also after it failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    begun: bool,
    leaf: Option<Vec<u8>>,
    heard: Vec<u8>,
}

impl Seen {
    /// Whether the other side agreed to speak TLS at all.
    pub(crate) fn begun(&self) -> bool {
        self.with(|state| state.begun)
    }

    /// The certificate that was served.
    pub(crate) fn served(&self) -> Option<Served> {
        self.with(|state| state.leaf.as_deref().map(Served::of_der))
    }

    /// What the pod answered first, after the handshake if there was one.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.with(|state| state.heard.clone())
    }

    pub(super) fn hear(&self, bytes: &[u8]) {
        self.with(|state| {
            let room = REMEMBERED.saturating_sub(state.heard.len());
            state.heard.extend(&bytes[..bytes.len().min(room)]);
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes one TLS connection; implements what `tokio-postgres` asks of a TLS library.
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    seen: Seen,
}

impl Connector {
    /// Prepares a connection as `access` asks for it, and as strict as `mode`.
    ///
    /// # Errors
    /// [`Unusable`] when trust bundle or client certificate cannot be used.
    pub(crate) fn new(
        access: &Access,
        mode: SslMode,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(Self, Seen), Unusable> {
        let seen = Seen::default();
        let verifier = Capture {
            seen: seen.clone(),
            provider: provider.clone(),
            chain: match mode {
                SslMode::VerifyCa | SslMode::VerifyFull => Some(verifier(&access.trust, provider)?),
                SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => None,
            },
            name_matters: mode == SslMode::VerifyFull,
        };
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(Unusable::Settings)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &access.client {
            Some(pair) => {
                let (chain, key) = read(pair)?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(Unusable::Settings)?
            }
            None => config.with_no_client_auth(),
        };
        let name = ServerName::try_from(access.server_name.clone()).map_err(Unusable::Name)?;
        Ok((
            Self {
                config: Arc::new(config),
                name,
                seen: seen.clone(),
            },
            seen,
        ))
    }
}

fn verifier(trust: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Unusable> {
    let mut roots = RootCertStore::empty();
    let authorities: Vec<_> = CertificateDer::pem_slice_iter(trust)
        .collect::<Result<_, _>>()
        .map_err(Unusable::Trust)?;
    // One authority that this library does not like must not cost the others; none at all is an error below.
    roots.add_parsable_certificates(authorities);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(Unusable::Authorities)
}

fn read(pair: &ClientPair) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Unusable> {
    let chain = CertificateDer::pem_slice_iter(&pair.chain)
        .collect::<Result<_, _>>()
        .map_err(Unusable::Client)?;
    Ok((
        chain,
        PrivateKeyDer::from_pem_slice(&pair.key).map_err(Unusable::Client)?,
    ))
}

/// Remembers the leaf first and judges it then.
#[derive(Debug)]
struct Capture {
    seen: Seen,
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    name_matters: bool,
}

impl ServerCertVerifier for Capture {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.with(|state| state.leaf = Some(end_entity.to_vec()));
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last, after the chain has proved good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name_matters => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    // The signatures are always verified: they prove that the pod holds the key of the leaf it shows.
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
pub(crate) type Stream<S> = Tap<Box<tokio_rustls::client::TlsStream<S>>>;

impl<S> TlsConnect<S> for Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        self.seen.with(|state| state.begun = true);
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(self.config);
            Ok(Tap {
                stream: Box::new(connector.connect(self.name, stream).await?),
                seen: Some(self.seen),
            })
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    /// Pgpool offers no channel binding.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
