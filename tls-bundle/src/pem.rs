//! Reads PEM text as TLS libraries do: any line ending, text between sections, and sections of other kinds are
//! skipped. It does not interpret the content of sections.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Bounds the work. A bundle of all public roots has about 150 certificates.
const MOST_CERTIFICATES: usize = 512;

/// Returns the certificates of the text in DER form, in order; at least one.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let mut found = Vec::new();
    for section in CertificateDer::pem_slice_iter(text) {
        found.push(section.map_err(|_| "it is damaged PEM")?);
        if found.len() > MOST_CERTIFICATES {
            return Err("it holds more than 512 certificates");
        }
    }
    if found.is_empty() {
        return Err("it holds no PEM section CERTIFICATE");
    }
    Ok(found)
}

/// Returns the first private key of the text, as OpenSSL does.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    match PrivateKeyDer::pem_slice_iter(text).next() {
        Some(Ok(key)) => Ok(key),
        // An encrypted key has its own label, or a header that is not base64.
        _ if contains(text, b"ENCRYPTED") => Err("it is encrypted with a passphrase"),
        Some(Err(_)) => Err("it is damaged PEM"),
        None => Err("it holds no PEM section with a private key"),
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
