//! Reads PEM text as TLS libraries do: any line ending, text between sections, and sections of other kinds are
//! skipped. It does not interpret the content of sections.

use std::borrow::Cow;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::limits;

/// What is wrong with a text, as the end of a sentence about it.
pub(crate) type Problem = Cow<'static, str>;

/// Returns the certificates of the text in DER form, in order; at least one.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    within(text, limits::CERTIFICATES_BYTES)?;
    let mut found = Vec::new();
    for section in CertificateDer::pem_slice_iter(text) {
        found.push(section.map_err(|_| "it is damaged PEM")?);
        if found.len() > limits::CERTIFICATES {
            return Err(too_many());
        }
    }
    if found.is_empty() {
        return Err("it holds no PEM section CERTIFICATE".into());
    }
    Ok(found)
}

/// More than [`limits::CERTIFICATES`].
pub(crate) fn too_many() -> Problem {
    format!("it holds more than {} certificates", limits::CERTIFICATES).into()
}

fn within(text: &[u8], limit: usize) -> Result<(), Problem> {
    if text.len() > limit {
        return Err(format!("it has {} bytes, and at most {limit} are read", text.len()).into());
    }
    Ok(())
}

/// Returns the first private key of the text, as OpenSSL does.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    within(text, limits::KEY_BYTES)?;
    match PrivateKeyDer::pem_slice_iter(text).next() {
        Some(Ok(key)) => Ok(key),
        // An encrypted key has its own label, or a header that is not base64.
        _ if contains(text, b"ENCRYPTED") => Err("it is encrypted with a passphrase".into()),
        Some(Err(_)) => Err("it is damaged PEM".into()),
        None => Err("it holds no PEM section with a private key".into()),
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
