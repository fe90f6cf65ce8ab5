//! Which key usages the role of a certificate needs. A missing extension allows everything.

use x509_parser::certificate::X509Certificate;

use crate::{Failure, Role};

/// TLS 1.3 signs every handshake with the key of the leaf certificate.
const SIGNATURE: &str = "digital signature";

impl Role {
    /// The extended key usage that the role needs, as cert-manager names it.
    pub(crate) const fn usage(self) -> &'static str {
        match self {
            Self::Server => "server auth",
            Self::Client => "client auth",
        }
    }
}

/// Returns the usages that the role needs and the leaf certificate does not allow.
pub(crate) fn missing(leaf: &X509Certificate<'_>, role: Role) -> impl Iterator<Item = Failure> {
    let signature = (!signs(leaf)).then_some(SIGNATURE);
    let extended = (!allows(leaf, role)).then_some(role.usage());
    signature
        .into_iter()
        .chain(extended)
        .map(move |usage| Failure::UsageMissing { usage, role })
}

/// Returns whether the extended key usages of a leaf or CA certificate allow the role.
pub(crate) fn allows(certificate: &X509Certificate<'_>, role: Role) -> bool {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) => {
            usage.value.any
                || match role {
                    Role::Server => usage.value.server_auth,
                    Role::Client => usage.value.client_auth,
                }
        }
        Ok(None) => true,
        Err(_) => false,
    }
}

fn signs(leaf: &X509Certificate<'_>) -> bool {
    match leaf.key_usage() {
        Ok(Some(usage)) => usage.value.digital_signature(),
        Ok(None) => true,
        Err(_) => false,
    }
}
