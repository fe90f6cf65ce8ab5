//! Which usages the role of a certificate needs. An absent extension allows everything.

use x509_parser::certificate::X509Certificate;

use crate::{Failure, Role};

/// Every handshake since TLS 1.3 is signed with the key of the leaf.
const SIGNATURE: &str = "digital signature";

impl Role {
    /// The extended usage that the role needs, in the words of cert-manager.
    pub(crate) const fn usage(self) -> &'static str {
        match self {
            Self::Server => "server auth",
            Self::Client => "client auth",
        }
    }
}

/// Names the usages that the role needs and the leaf does not allow.
pub(crate) fn missing(leaf: &X509Certificate<'_>, role: Role) -> impl Iterator<Item = Failure> {
    let signature = (!signs(leaf)).then_some(SIGNATURE);
    let extended = (!allows(leaf, role)).then_some(role.usage());
    signature
        .into_iter()
        .chain(extended)
        .map(move |usage| Failure::UsageMissing { usage, role })
}

/// Tells whether the extended usages of a certificate, leaf or CA, allow the role.
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
