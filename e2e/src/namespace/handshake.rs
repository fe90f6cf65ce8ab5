//! A TLS handshake with a pod itself, as a client of PostgreSQL begins it: which certificate is served there, and
//! that its key is there too. The certificate itself is not verified.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use operator_runtime::PresentedVerifier;
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use shared_types::ports;
use tls_bundle::Fingerprint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const LIMIT: Duration = Duration::from_secs(1);

/// Asks a server of PostgreSQL's protocol for TLS: eight bytes, of which the last four are the code for that.
/// See "SSL Session Encryption" in PostgreSQL's chapter on its protocol.
const ASK: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// The leaf that the pgpool of a pod serves.
pub(crate) async fn served(pod: IpAddr) -> anyhow::Result<Fingerprint> {
    tokio::time::timeout(LIMIT, shake(pod))
        .await
        .context("no answer")?
}

async fn shake(pod: IpAddr) -> anyhow::Result<Fingerprint> {
    let mut stream = TcpStream::connect((pod, ports::PGPOOL)).await?;
    stream.write_all(&ASK).await?;
    let answer = stream.read_u8().await?;
    ensure!(answer == b'S', "it does not speak TLS");
    let stream = TlsConnector::from(config()?)
        .connect(ServerName::from(pod), stream)
        .await?;
    let Some([leaf, ..]) = stream.get_ref().1.peer_certificates() else {
        bail!("it served no certificate")
    };
    Ok(Fingerprint::of_der(leaf))
}

/// The leaf in the text of a `tls.crt`.
pub(crate) fn leaf(pem: &[u8]) -> anyhow::Result<Fingerprint> {
    let leaf = CertificateDer::from_pem_slice(pem).context("reading a certificate")?;
    Ok(Fingerprint::of_der(&leaf))
}

fn config() -> anyhow::Result<Arc<ClientConfig>> {
    let provider = CryptoProvider::get_default().context("no cryptography is installed")?;
    // Any certificate, but only from who has its key.
    let verifier = PresentedVerifier::new(Arc::clone(provider), |_, _| Ok(()));
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::test_ca::{TestCa, Wanted};

    #[test]
    fn the_first_certificate_is_the_leaf() {
        let ca = TestCa::new("one").unwrap();
        let pair = ca.issue(&Wanted::default()).unwrap();
        let chain = pair.certificate.clone() + &ca.certificate();
        assert_eq!(
            leaf(chain.as_bytes()).unwrap(),
            leaf(pair.certificate.as_bytes()).unwrap()
        );
        assert!(leaf(b"nothing").is_err());
    }
}
