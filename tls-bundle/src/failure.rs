//! What can be wrong with a certificate Secret, each with a message (what is wrong, then how to fix it) and a stable
//! reason. Nothing here holds or shows key material.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;

use crate::Role;
use crate::shortened::shortened;

/// The entries of a certificate Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `tls.crt`: the leaf certificate, then its intermediates.
    Certificate,
    /// `tls.key`: the private key of the leaf certificate.
    Key,
}

impl Entry {
    /// The key of the entry in the Secret.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "tls.crt",
            Self::Key => "tls.key",
        }
    }
}

/// Why a certificate Secret is invalid. `Display` is a condition message without the name of the Secret, which the
/// caller puts in front.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An entry is missing or empty.
    #[error(
        "{} is missing or empty; delete the Secret so that cert-manager issues it again",
        entry.as_str()
    )]
    Incomplete {
        /// The missing entry.
        entry: Entry,
    },
    /// `tls.crt` cannot be parsed.
    #[error("tls.crt cannot be read: {problem}; delete the Secret so that cert-manager issues it again")]
    CertificateUnreadable {
        /// What is wrong with the text.
        problem: Cow<'static, str>,
    },
    /// A certificate of `tls.crt` has a key or a signature with which pgpool does not load the file, and would serve plain
    /// text, or that is not supported.
    #[error(
        "tls.crt cannot be used: {problem}; let the issuer replace that certificate or leave it out, then delete the Secret so that cert-manager issues it again"
    )]
    CertificateUnsuitable {
        /// What is wrong with which certificate.
        problem: String,
    },
    /// `tls.key` cannot be parsed.
    #[error("tls.key cannot be read: {problem}; delete the Secret so that cert-manager issues it again")]
    KeyUnreadable {
        /// What is wrong with the text; never its content.
        problem: Cow<'static, str>,
    },
    /// `ca.crt` cannot be parsed.
    #[error(
        "ca.crt cannot be read: {problem}; fix the CA of the issuer, then delete the Secret so that cert-manager issues it again"
    )]
    CaUnreadable {
        /// What is wrong with the text.
        problem: Cow<'static, str>,
    },
    /// `ca.crt` is missing or empty, as with ACME issuers.
    #[error(
        "ca.crt is missing or empty, so clients cannot verify the certificate; use an issuer that publishes its CA, such as a CA, SelfSigned or Vault issuer; ACME issuers do not"
    )]
    CaMissing,
    /// `ca.crt` ends below the root, and [`crate::Required::ca_required`] demands one.
    #[error(
        "ca.crt holds no self-signed CA above {subject:?}, so psql and pgpool cannot verify the certificate with it; use an issuer that publishes the certificate of {issuer:?} in ca.crt, then delete the Secret so that cert-manager issues it again"
    )]
    RootMissing {
        /// The last certificate of the chain.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// The key does not match the certificate.
    #[error(
        "tls.key ({key}) does not match the certificate in tls.crt ({leaf}); delete the Secret so that cert-manager issues a new key and certificate"
    )]
    KeyMismatch {
        /// The kind of the private key, as `RSA 2048`.
        key: String,
        /// The kind of the public key in the leaf certificate.
        leaf: String,
    },
    /// No valid chain leads from the leaf certificate to `ca.crt`.
    #[error(
        "tls.crt does not chain to ca.crt: {fault}; fix the issuer, then delete the Secret so that cert-manager issues it again"
    )]
    ChainBroken {
        /// The invalid link.
        fault: ChainFault,
    },
    /// The leaf certificate does not cover all required names.
    #[error(
        "the certificate does not cover {}; add the names to its Certificate, or delete the Secret so that cert-manager issues it again",
        listed(missing)
    )]
    NameMissing {
        /// The names and addresses that are not covered.
        missing: Vec<String>,
    },
    /// The leaf certificate has another common name.
    #[error(
        "the common name of the certificate is {}, but must be {required:?}; set it in the Certificate, then delete the Secret so that cert-manager issues it again",
        found.as_ref().map_or_else(|| "missing".to_owned(), |name| format!("{name:?}"))
    )]
    CommonNameMismatch {
        /// The required common name.
        required: String,
        /// The common name of the leaf certificate.
        found: Option<String>,
    },
    /// The leaf certificate does not allow its role.
    #[error(
        "the certificate does not allow the usage {usage:?}, which a {role} needs; add it to the usages of the Certificate, then delete the Secret so that cert-manager issues it again"
    )]
    UsageMissing {
        /// The missing usage, as cert-manager names it.
        usage: &'static str,
        /// The role that needs it.
        role: Role,
    },
    /// The leaf certificate is not valid yet.
    #[error(
        "the certificate is not valid before {not_before}; fix the clock of the issuer or of this node, or wait"
    )]
    NotYetValid {
        /// Start of the validity.
        not_before: Timestamp,
    },
    /// The leaf certificate has expired.
    #[error(
        "the certificate expired at {not_after}; find out why cert-manager has not renewed it (kubectl describe certificate), or fix the clock of this node"
    )]
    Expired {
        /// End of the validity.
        not_after: Timestamp,
    },
}

impl Failure {
    /// Returns the reason for conditions and the channel.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Incomplete { .. } => "SecretIncomplete",
            Self::CertificateUnreadable { .. } | Self::CertificateUnsuitable { .. } => {
                "CertificateUnreadable"
            }
            Self::KeyUnreadable { .. } => "KeyUnreadable",
            Self::CaUnreadable { .. } => "CaUnreadable",
            Self::CaMissing => "CaMissing",
            Self::RootMissing { .. } => "RootMissing",
            Self::KeyMismatch { .. } => "KeyMismatch",
            Self::ChainBroken { .. } => "ChainBroken",
            Self::NameMissing { .. } => "NameMissing",
            Self::CommonNameMismatch { .. } => "CommonNameMismatch",
            Self::UsageMissing { .. } => "UsageMissing",
            Self::NotYetValid { .. } => "NotYetValid",
            Self::Expired { .. } => "Expired",
        }
    }
}

/// Where a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// `tls.crt`, `ca.crt`, or what a server presented.
    pub file: &'static str,
    /// Its position there, from 1.
    pub number: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {} of {}", self.number, self.file)
    }
}

/// A certificate, as messages name it: by its subject and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its subject, such as `CN=root`.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.name, self.place)
    }
}

/// Why clients do not accept a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Neither `tls.crt` nor `ca.crt` contains the issuer.
    #[error("the issuer {issuer:?} of {subject} is neither in tls.crt nor in ca.crt")]
    IssuerAbsent {
        /// The certificate.
        subject: Subject,
        /// Its issuer.
        issuer: String,
    },
    /// The issuer has the right name, but another key identifier or serial number than the certificate names.
    #[error(
        "{subject} names an issuer with another key identifier or serial number than {issuer} has, so it is from another or an earlier certificate of that CA"
    )]
    IssuerMismatch {
        /// The certificate.
        subject: Subject,
        /// The certificate with the name of its issuer.
        issuer: Subject,
    },
    /// The chain ends in a self-signed certificate that is not in `ca.crt`.
    #[error("{subject} is self-signed, and not in ca.crt")]
    RootUnknown {
        /// The certificate.
        subject: Subject,
    },
    /// The certificate was signed with a key other than the issuer's.
    #[error("{subject} is not signed with the key of {issuer}, the first CA of that name")]
    SignatureWrong {
        /// The certificate.
        subject: Subject,
        /// The certificate that clients take for its issuer.
        issuer: Subject,
    },
    /// The signature algorithm is not among the supported ones.
    #[error(
        "{subject} is signed with an algorithm or a key that is not supported; supported are SHA-256, SHA-384 and SHA-512 with RSA or ECDSA, and Ed25519"
    )]
    AlgorithmUnsupported {
        /// The certificate.
        subject: Subject,
    },
    /// The key of a CA is too small or of a kind that is not supported.
    #[error("the key of {subject} {problem}")]
    KeyUnsuitable {
        /// The CA.
        subject: Subject,
        /// What is wrong.
        problem: String,
    },
    /// The signature algorithm of a certificate is too weak or not supported.
    #[error("the signature of {subject} {problem}")]
    SignatureUnsuitable {
        /// The certificate.
        subject: Subject,
        /// What is wrong.
        problem: &'static str,
    },
    /// A part of a certificate is malformed.
    #[error("in {subject} the part {extension:?} is malformed")]
    Malformed {
        /// The certificate.
        subject: Subject,
        /// The part.
        extension: &'static str,
    },
    /// An issuer is not a CA.
    #[error("{subject} is not allowed to sign certificates")]
    NotACa {
        /// The issuer.
        subject: Subject,
    },
    /// A CA is not valid yet.
    #[error("the CA {subject} is not valid before {not_before}")]
    CaNotYetValid {
        /// The CA.
        subject: Subject,
        /// Start of its validity.
        not_before: Timestamp,
    },
    /// A CA has expired.
    #[error("the CA {subject} expired at {not_after}")]
    CaExpired {
        /// The CA.
        subject: Subject,
        /// End of its validity.
        not_after: Timestamp,
    },
    /// A CA allows fewer CAs below it.
    #[error("the CA {subject} does not allow this many CAs below it")]
    TooLong {
        /// The CA.
        subject: Subject,
    },
    /// A certificate restricts usages, and the role is not among them. Any extended key usage is not enough for OpenSSL.
    #[error("{subject} does not allow the usage {usage:?}")]
    UsageForbidden {
        /// The certificate.
        subject: Subject,
        /// The usage, as cert-manager names it.
        usage: &'static str,
    },
    /// The name constraints of a CA exclude a name of a certificate below it, or its subject.
    #[error("the CA {subject} does not permit the name {name:?}")]
    NameForbidden {
        /// The CA.
        subject: Subject,
        /// The name.
        name: String,
    },
    /// The name constraints of a CA are about a kind of name that no client compares, or a name or a constraint is malformed.
    #[error("the CA {subject} constrains names of the kind of {name:?} in a way that clients cannot check")]
    NameIncomparable {
        /// The CA.
        subject: Subject,
        /// The name.
        name: String,
    },
    /// A critical extension is unknown, so that every client must reject the certificate, or not supported.
    #[error("{subject} has the extension {oid}, which is not supported")]
    ExtensionUnsupported {
        /// The certificate.
        subject: Subject,
        /// The extension.
        oid: String,
    },
    /// A CA has too many name constraints for the names of a certificate.
    #[error("the CA {subject} has too many name constraints for a certificate with this many names")]
    TooManyConstraints {
        /// The CA.
        subject: Subject,
    },
    /// The chain is longer than the limit.
    #[error("the chain has more than {} certificates", crate::limits::CHAIN)]
    TooManyCertificates,
}

impl ChainFault {
    /// Returns whether the certificate is from another CA than that of `ca.crt`, or from an earlier one.
    #[must_use]
    pub const fn is_from_another_ca(&self) -> bool {
        matches!(
            self,
            Self::IssuerAbsent { .. }
                | Self::IssuerMismatch { .. }
                | Self::RootUnknown { .. }
                | Self::SignatureWrong { .. }
        )
    }
}

/// Lists at most five names, so that a condition stays readable.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("{:?}", shortened(name.clone())));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}
