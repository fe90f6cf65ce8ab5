//! Identifies the key of a CA: certificates of one CA can differ in everything but the key. Pure.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::certificate::Certificate;

/// SHA-256 over the `SubjectPublicKeyInfo` of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

impl KeyId {
    pub(crate) fn of(certificate: &Certificate<'_>) -> Self {
        Self(Sha256::digest(certificate.key.info).into())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
