//! What can be wrong with a certificate Secret, each kind with a sentence for people (what is wrong, then the
//! cure) and a stable reason for programs. Nothing here ever holds or shows key material.

use jiff::Timestamp;

use crate::Role;

/// The entries of a certificate Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `tls.crt`: the leaf, then its intermediates.
    Certificate,
    /// `tls.key`: the private key of the leaf.
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

/// Why a certificate Secret does not fit. Its `Display` is a sentence without the name of the Secret, which the
/// caller puts in front.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An entry is absent or empty.
    #[error(
        "{} is missing or empty; delete the Secret so that cert-manager issues it again",
        entry.as_str()
    )]
    Incomplete {
        /// The absent entry.
        entry: Entry,
    },
    /// `tls.crt` cannot be read.
    #[error("tls.crt cannot be read: {problem}; delete the Secret so that cert-manager issues it again")]
    CertificateUnreadable {
        /// What is wrong with the text, in words.
        problem: &'static str,
    },
    /// `tls.key` cannot be read.
    #[error("tls.key cannot be read: {problem}; delete the Secret so that cert-manager issues it again")]
    KeyUnreadable {
        /// What is wrong with the text, in words; never its content.
        problem: &'static str,
    },
    /// `ca.crt` cannot be read.
    #[error(
        "ca.crt cannot be read: {problem}; correct the CA of the issuer, then delete the Secret so that cert-manager issues it again"
    )]
    CaUnreadable {
        /// What is wrong with the text, in words.
        problem: &'static str,
    },
    /// `ca.crt` is absent or empty, as with ACME issuers.
    #[error(
        "ca.crt is missing or empty, so nobody can verify the certificate; use an issuer that publishes its CA (CA, self-signed, Vault): ACME issuers do not"
    )]
    CaMissing,
    /// The key belongs to another certificate.
    #[error(
        "tls.key ({key}) is not the key of the certificate in tls.crt ({leaf}); delete the Secret so that cert-manager issues a new pair"
    )]
    KeyMismatch {
        /// The kind of the private key, as `RSA 2048`.
        key: String,
        /// The kind of the public key in the leaf.
        leaf: String,
    },
    /// No valid chain leads from the leaf to `ca.crt`.
    #[error(
        "the chain of tls.crt does not end in ca.crt: {fault}; correct the issuer, then delete the Secret so that cert-manager issues it again"
    )]
    ChainBroken {
        /// The link that does not hold.
        fault: ChainFault,
    },
    /// The leaf does not cover all names.
    #[error(
        "the certificate does not cover {}; add the names to its Certificate, or let the Secret go so that cert-manager issues it again",
        listed(missing)
    )]
    NameMissing {
        /// The names and addresses that are not covered.
        missing: Vec<String>,
    },
    /// The common name of the leaf is another one.
    #[error(
        "the common name of the certificate is {}, but {required:?} is needed; set it in the Certificate, then delete the Secret so that cert-manager issues it again",
        found.as_ref().map_or_else(|| "absent".to_owned(), |name| format!("{name:?}"))
    )]
    CommonNameMismatch {
        /// The needed common name.
        required: String,
        /// The common name of the leaf.
        found: Option<String>,
    },
    /// The leaf may not be used in its role.
    #[error(
        "the certificate does not allow the usage {usage:?}, which a {role} needs; add it to the usages of the Certificate, then delete the Secret so that cert-manager issues it again"
    )]
    UsageMissing {
        /// The missing usage, in the words of cert-manager.
        usage: &'static str,
        /// The role that needs it.
        role: Role,
    },
    /// The leaf is valid only later.
    #[error(
        "the certificate is not valid before {not_before}; correct the clock of the issuer or of this node, or wait"
    )]
    NotYetValid {
        /// Start of the validity.
        not_before: Timestamp,
    },
    /// The validity of the leaf has ended.
    #[error(
        "the certificate expired at {not_after}; find out why cert-manager has not renewed it (kubectl describe certificate), or correct the clock of this node"
    )]
    Expired {
        /// End of the validity.
        not_after: Timestamp,
    },
}

impl Failure {
    /// Gives the reason as written in conditions and on the channel.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Incomplete { .. } => "SecretIncomplete",
            Self::CertificateUnreadable { .. } => "CertificateUnreadable",
            Self::KeyUnreadable { .. } => "KeyUnreadable",
            Self::CaUnreadable { .. } => "CaUnreadable",
            Self::CaMissing => "CaMissing",
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

/// The link of a chain that does not hold. Certificates are named by their subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// Neither `tls.crt` nor `ca.crt` holds the issuer.
    #[error("the issuer {issuer:?} of {subject:?} is neither in tls.crt nor in ca.crt")]
    IssuerAbsent {
        /// The certificate.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// The signature is not that of the issuer.
    #[error("{subject:?} is not signed by the {issuer:?} that is there")]
    SignatureWrong {
        /// The certificate.
        subject: String,
        /// Its issuer by name.
        issuer: String,
    },
    /// The signature algorithm is not among the supported ones.
    #[error("{subject:?} is signed with an algorithm that is not supported")]
    AlgorithmUnsupported {
        /// The certificate.
        subject: String,
    },
    /// An issuer is no CA.
    #[error("{subject:?} is not allowed to sign certificates")]
    NotACa {
        /// The issuer.
        subject: String,
    },
    /// A CA is valid only later.
    #[error("the CA {subject:?} is not valid before {not_before}")]
    CaNotYetValid {
        /// The CA.
        subject: String,
        /// Start of its validity.
        not_before: Timestamp,
    },
    /// A CA has expired.
    #[error("the CA {subject:?} expired at {not_after}")]
    CaExpired {
        /// The CA.
        subject: String,
        /// End of its validity.
        not_after: Timestamp,
    },
    /// A CA does not allow so many CAs below it.
    #[error("the CA {subject:?} does not allow so many CAs below it")]
    TooLong {
        /// The CA.
        subject: String,
    },
    /// A CA restricts usages, and the role is not among them.
    #[error("the CA {subject:?} does not allow the usage {usage:?}")]
    UsageForbidden {
        /// The CA.
        subject: String,
        /// The usage in the words of cert-manager.
        usage: &'static str,
    },
    /// A CA does not permit a name of the leaf.
    #[error("the CA {subject:?} does not permit the name {name:?}")]
    NameForbidden {
        /// The CA.
        subject: String,
        /// The name in the leaf.
        name: String,
    },
    /// A critical extension is not understood, so that every client must refuse the certificate.
    #[error("{subject:?} has the critical extension {oid}, which is not supported")]
    ExtensionUnsupported {
        /// The certificate.
        subject: String,
        /// The extension.
        oid: String,
    },
    /// The search was given up.
    #[error("there are too many certificates to find a chain among")]
    TooManyCertificates,
}

/// At most five names, so that a condition stays readable.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(|name| format!("{name:?}"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}
