//! Which key usages the role of a certificate needs. A missing extension allows everything.

use crate::certificate::Certificate;
use crate::extensions::KeyUsage;
use crate::{Failure, Role};

/// TLS 1.3 signs every handshake with the key of the leaf certificate.
const SIGNATURE: &str = "digital signature";

/// Netscape certificate types of leaf certificates.
const NETSCAPE_CLIENT: u8 = 0x80;
const NETSCAPE_SERVER: u8 = 0x40;

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
pub(crate) fn missing(leaf: &Certificate<'_>, role: Role) -> impl Iterator<Item = Failure> {
    let usage = leaf.extensions.key_usage;
    let signs = usage.is_none_or(KeyUsage::signs);
    let signature = (!signs).then_some(SIGNATURE);
    let extended = (!allows(leaf, role)).then_some(role.usage());
    signature
        .into_iter()
        .chain(extended)
        .map(move |usage| Failure::UsageMissing { usage, role })
}

/// Returns whether the extended key usages of a leaf or CA certificate allow the role. That any usage is allowed does not
/// count, since OpenSSL does not count it.
pub(crate) fn allows(certificate: &Certificate<'_>, role: Role) -> bool {
    certificate
        .extensions
        .extended_key_usage
        .is_none_or(|usage| match role {
            Role::Server => usage.server,
            Role::Client => usage.client,
        })
}

/// Returns whether the Netscape certificate type, if any, allows the role. That of a CA matters only where nothing else says
/// that it is one.
pub(crate) fn allows_netscape(certificate: &Certificate<'_>, role: Role, is_ca: bool) -> bool {
    let needed = match role {
        Role::Server => NETSCAPE_SERVER,
        Role::Client => NETSCAPE_CLIENT,
    };
    let kind = certificate.extensions.netscape_type;
    is_ca || kind.is_none_or(|kind| kind & needed != 0)
}
