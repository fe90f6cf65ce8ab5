//! Reads PEM text as OpenSSL does, line by line, and refuses what OpenSSL reads only by accident. It does not interpret the
//! content of sections.

use std::borrow::Cow;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::limits;

mod sections;

use sections::{Section, Sections};

/// What is wrong with a text, as the end of a sentence about it.
pub(crate) type Problem = Cow<'static, str>;

/// Returns the first certificate of a text that [`certificates`] accepts.
pub(crate) fn first(text: &[u8]) -> Option<CertificateDer<'static>> {
    certificates(text).ok()?.into_iter().next()
}

/// Returns the certificates of the text in DER form, in order; at least one. Sections of other kinds are skipped, as long as
/// OpenSSL would skip them.
pub(crate) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Problem> {
    within(text, limits::CERTIFICATES_BYTES)?;
    let mut found = Vec::new();
    for section in Sections::new(text) {
        let Section { label, header, der } = section?;
        match label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => {}
            "TRUSTED CERTIFICATE" | "X509 CRL" | "PKCS7" => {
                return Err(format!("it holds a PEM section {label}, which is not supported").into());
            }
            _ => continue,
        }
        if !header.is_empty() {
            return Err("a certificate in it has a PEM header, or a blank line inside".into());
        }
        found.push(CertificateDer::from(der));
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
fn too_many() -> Problem {
    format!("it holds more than {} certificates", limits::CERTIFICATES).into()
}

/// The limits of certificates in DER form.
pub(crate) fn within_limits(certificates: usize, bytes: usize) -> Result<(), Problem> {
    if certificates > limits::CERTIFICATES {
        return Err(too_many());
    }
    within_bytes(bytes, limits::CERTIFICATES_BYTES)
}

fn within(text: &[u8], limit: usize) -> Result<(), Problem> {
    within_bytes(text.len(), limit)
}

fn within_bytes(bytes: usize, limit: usize) -> Result<(), Problem> {
    if bytes > limit {
        return Err(format!("it has {bytes} bytes, and at most {limit} are read").into());
    }
    Ok(())
}

/// Returns the first private key of the text, as OpenSSL does.
pub(crate) fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Problem> {
    within(text, limits::KEY_BYTES)?;
    for section in Sections::new(text) {
        let Section { label, header, der } = section?;
        if label == "ENCRYPTED PRIVATE KEY" || header.starts_with(b"Proc-Type:") {
            return Err("it is encrypted with a passphrase".into());
        }
        if !label.ends_with("PRIVATE KEY") {
            continue;
        }
        if !header.is_empty() {
            return Err("its key has a PEM header, or a blank line inside".into());
        }
        return match label.as_str() {
            "PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs8(der.into())),
            "RSA PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs1(der.into())),
            "EC PRIVATE KEY" => Ok(PrivateKeyDer::Sec1(der.into())),
            _ => Err("its private key is of another kind; supported are RSA, ECDSA and Ed25519".into()),
        };
    }
    Err("it holds no PEM section with a private key".into())
}
