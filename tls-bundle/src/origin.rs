//! Was a leaf signed by this very authority? Looks at names and the signature alone: an authority that was renewed under
//! its old key has signed what it signed before, and times are the business of [`crate::verify`].

use rustls_pki_types::CertificateDer;

use crate::signature::{self, Signature};
use crate::{certificate, pem};

/// See [`crate::is_signed_by`].
pub(crate) fn is_signed_by(leaf: &[u8], authority: &[u8]) -> Option<bool> {
    let (leaf, authority) = (first(leaf)?, first(authority)?);
    let leaf = certificate::parse(&leaf).ok()?;
    let authority = certificate::parse(&authority).ok()?;
    if leaf.issuer().as_raw() != authority.subject().as_raw() {
        return Some(false);
    }
    // A signature of a kind that this key cannot make is not of this key.
    Some(signature::check(&leaf, &authority) == Signature::Valid)
}

fn first(text: &[u8]) -> Option<CertificateDer<'static>> {
    pem::certificates(text).ok()?.into_iter().next()
}
