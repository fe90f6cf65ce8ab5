//! Was a leaf certificate signed by this CA? Compares the names and the signature only: a CA that was renewed with the
//! same key still counts as the signer. Validity periods are checked by [`crate::verify()`].

use rustls_pki_types::CertificateDer;

use crate::signature::{self, Signature};
use crate::{certificate, pem};

/// See [`crate::is_signed_by`].
pub(crate) fn is_signed_by(leaf: &[u8], ca: &[u8]) -> Option<bool> {
    let (leaf, ca) = (first(leaf)?, first(ca)?);
    let leaf = certificate::parse(&leaf).ok()?;
    let ca = certificate::parse(&ca).ok()?;
    if leaf.issuer().as_raw() != ca.subject().as_raw() {
        return Some(false);
    }
    // A signature with an algorithm of another kind of key cannot be from this CA.
    Some(signature::check(&leaf, &ca) == Signature::Valid)
}

fn first(text: &[u8]) -> Option<CertificateDer<'static>> {
    pem::certificates(text).ok()?.into_iter().next()
}
