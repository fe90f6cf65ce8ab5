//! The certificate files of the channel, and the TLS settings made from them.
//!
//! They are read for every connection and parsed only when they changed, so a renewal takes effect with the next
//! connection. When new files are unusable, the last usable ones stay in use.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::{info, warn};

use super::client_names::{ClientNames, NamedClientVerifier};
use crate::error_chain;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";

/// A directory with `tls.crt`, `tls.key` and `ca.crt`. Clones share what was read.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    directory: PathBuf,
    clients: ClientNames,
    last: Arc<Mutex<Last>>,
}

#[derive(Debug, Default)]
struct Last {
    usable: Option<Settings>,
    /// What was logged as unusable, so that it is logged once.
    unusable: Option<Content>,
}

#[derive(Clone, Debug)]
struct Settings {
    content: Content,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

#[derive(Clone, PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    ca: Vec<u8>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Holds a private key.
        f.write_str("Content")
    }
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFilesError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not PEM of the right kind.
    #[error("{file} is not usable PEM")]
    Pem {
        /// The file.
        file: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// A file holds no certificate.
    #[error("{file} holds no certificate")]
    Empty {
        /// The file.
        file: &'static str,
    },
    /// The certificate and the key do not make a TLS identity.
    #[error("the certificate and the key do not match: {0}")]
    Tls(#[from] rustls::Error),
    /// The name of a client is not a DNS name.
    #[error("{name} is not a DNS name of a client of the channel")]
    ClientName {
        /// The argument.
        name: String,
    },
    /// The CA cannot be used to verify a peer.
    #[error("ca.crt cannot be used to verify a peer: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

impl TlsFiles {
    /// Returns the files of a directory, which need not exist yet.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            clients: ClientNames::default(),
            last: Arc::default(),
        }
    }

    /// Lets a server accept clients whose certificate has one of these DNS names. Without it, a server accepts nobody.
    ///
    /// # Errors
    /// When one is not a DNS name.
    pub fn accepting(self, names: &[String]) -> Result<Self, TlsFilesError> {
        let clients = ClientNames::parse(names).map_err(|name| TlsFilesError::ClientName { name })?;
        Ok(Self { clients, ..self })
    }

    /// Returns settings for a server that requires client certificates.
    ///
    /// # Errors
    /// When the files are unusable and no earlier ones were usable.
    pub fn server(&self) -> Result<Arc<ServerConfig>, TlsFilesError> {
        self.settings().map(|settings| settings.server)
    }

    /// Returns settings for a client that presents its certificate.
    ///
    /// # Errors
    /// When the files are unusable and no earlier ones were usable.
    pub fn client(&self) -> Result<Arc<ClientConfig>, TlsFilesError> {
        self.settings().map(|settings| settings.client)
    }

    fn settings(&self) -> Result<Settings, TlsFilesError> {
        let read = read(&self.directory);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let content = match (read, &last.usable) {
            (Ok(content), Some(usable)) if content == usable.content => return Ok(usable.clone()),
            (Ok(content), _) => content,
            (Err(error), Some(usable)) => {
                warn!(error = %error_chain(&error), "the files of the channel cannot be read; the last usable ones stay in use");
                return Ok(usable.clone());
            }
            (Err(error), None) => return Err(error),
        };
        match Settings::of(content.clone(), &self.clients) {
            Ok(settings) => {
                if last.usable.is_some() {
                    info!(directory = %self.directory.display(), "the channel uses a new certificate");
                }
                last.usable = Some(settings.clone());
                Ok(settings)
            }
            Err(error) => {
                let Some(usable) = last.usable.clone() else {
                    return Err(error);
                };
                if last.unusable.as_ref() != Some(&content) {
                    warn!(error = %error_chain(&error), "the new files of the channel are unusable; the last usable ones stay in use");
                    last.unusable = Some(content);
                }
                Ok(usable)
            }
        }
    }
}

fn read(directory: &Path) -> Result<Content, TlsFilesError> {
    // The kubelet replaces all files of a volume at once by changing this link. Reading through its target keeps
    // the three files consistent during a change.
    let directory = std::fs::canonicalize(directory.join("..data")).unwrap_or_else(|_| directory.to_owned());
    let file = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(|source| TlsFilesError::Read { path, source })
    };
    Ok(Content {
        certificate: file(CERTIFICATE)?,
        key: file(KEY)?,
        ca: file(CA)?,
    })
}

impl Settings {
    fn of(content: Content, clients: &ClientNames) -> Result<Self, TlsFilesError> {
        let chain = certificates(&content.certificate, CERTIFICATE)?;
        let key = PrivateKeyDer::from_pem_slice(&content.key)
            .map_err(|source| TlsFilesError::Pem { file: KEY, source })?;
        let mut roots = RootCertStore::empty();
        for ca in certificates(&content.ca, CA)? {
            roots.add(ca)?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(Self {
            server: Arc::new(server(
                &provider,
                &roots,
                clients,
                chain.clone(),
                key.clone_key(),
            )?),
            client: Arc::new(client(&provider, &roots, chain, key)?),
            content,
        })
    }
}

fn certificates(pem: &[u8], file: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsFilesError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsFilesError::Pem { file, source })?;
    if found.is_empty() {
        return Err(TlsFilesError::Empty { file });
    }
    Ok(found)
}

/// TLS 1.3 only, which every client supports. Sessions are not resumed, so each connection verifies the current
/// certificates of both sides.
fn server(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    clients: &ClientNames,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsFilesError> {
    let verifier = NamedClientVerifier {
        chain: WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
            .build()?,
        names: clients.clone(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn client(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsFilesError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(Arc::clone(roots))
        .with_client_auth_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
