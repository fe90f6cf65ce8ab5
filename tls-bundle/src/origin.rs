//! Was a leaf certificate signed by this CA? Compares names, key identifiers and the signature, as clients do when they look
//! for an issuer: a CA that was renewed with the same key still counts as the signer, unless its key identifier is another
//! one. Validity periods are checked by [`crate::verify()`].

use crate::certificate;
use crate::pem;
use crate::signature::{self, Signature};

/// See [`crate::is_signed_by`].
pub(crate) fn is_signed_by(leaf: &[u8], ca: &[u8]) -> Option<bool> {
    let (leaf, ca) = (pem::first(leaf)?, pem::first(ca)?);
    let leaf = certificate::parse(&leaf).ok()?;
    let ca = certificate::parse(&ca).ok()?;
    Some(leaf.may_be_issued_by(&ca) && signature::check(&leaf, &ca) == Signature::Valid)
}
