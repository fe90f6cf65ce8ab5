//! Reads PEM text as TLS libraries do: any line ending, text between the sections, sections of other kinds
//! passed over. Knows nothing of what the sections mean.

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// More certificates than any real bundle has (the public roots are about 150); a bound on the work.
const MOST_CERTIFICATES: usize = 512;

/// Gives the certificates of the text in DER form, in their order; never none.
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

/// Gives the first private key of the text, which is the one that OpenSSL takes too.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, &'static str> {
    match PrivateKeyDer::pem_slice_iter(text).next() {
        Some(Ok(key)) => Ok(key),
        // Encrypted keys have either a label of their own or a header that is no base64.
        _ if contains(text, b"ENCRYPTED") => Err("it is encrypted with a passphrase"),
        Some(Err(_)) => Err("it is damaged PEM"),
        None => Err("it holds no PEM section with a private key"),
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
