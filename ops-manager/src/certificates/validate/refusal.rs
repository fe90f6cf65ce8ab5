//! Why a certificate is not asked for: each a sentence that names the object and the cure, and the reason under
//! which it stands in the condition.

use shared_types::conditions::Reason;

/// Why a certificate is not asked for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Its kinds are not served.
    #[error(
        "cert-manager is not installed: the API server does not know {kind}; install cert-manager, it is noticed within a minute"
    )]
    CertManagerAbsent {
        /// The kind that is missing.
        kind: &'static str,
    },
    /// Its kinds are not cached yet.
    #[error("cert-manager's {kind} objects are being read; wait a moment")]
    CertManagerStarting {
        /// The kind that is read.
        kind: &'static str,
    },
    /// We may not see Certificates.
    #[error(
        "this operator may not list Certificates; grant it get, list, watch, create, patch and delete on certificates.cert-manager.io"
    )]
    CertManagerForbidden,
    /// No issuer is named.
    #[error("no issuer is named for the {alias} certificate; set spec.tls.issuerRef")]
    IssuerUnnamed {
        /// The certificate.
        alias: &'static str,
    },
    /// cert-manager has no such kind.
    #[error(
        "{kind} {name} cannot issue: cert-manager knows the kinds Issuer and ClusterIssuer; correct the kind in issuerRef, or name the apiGroup of an external issuer"
    )]
    IssuerKindUnsupported {
        /// The kind.
        kind: String,
        /// The name.
        name: String,
    },
    /// There is no such issuer.
    #[error("{kind} {place} does not exist; create it, or correct issuerRef")]
    IssuerNotFound {
        /// The kind.
        kind: String,
        /// `namespace/name`, or the name.
        place: String,
    },
    /// The issuer cannot issue.
    #[error("{kind} {place} is not ready{}; see kubectl describe {} {place}", colon(message), kind.to_lowercase())]
    IssuerNotReady {
        /// The kind.
        kind: String,
        /// `namespace/name`, or the name.
        place: String,
        /// What it says itself.
        message: String,
    },
    /// A field holds something that cert-manager cannot read.
    #[error("spec.tls.certificates[{alias}].{field} is {value:?}, which is {problem}; write {example}")]
    FieldUnreadable {
        /// The certificate.
        alias: &'static str,
        /// The field.
        field: &'static str,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
        /// How it is written.
        example: &'static str,
    },
    /// The provisioner's objects are not all there.
    #[error(
        "{objects} not there yet; the provisioner creates what it can: see its conditions on the Pgpool, and whether it runs"
    )]
    WaitingForProvisioner {
        /// `Secret a/b is`, or several.
        objects: String,
    },
    /// The user's auth Secret is not there.
    #[error(
        "Secret {place}, named in spec.authSecret, does not exist or may not be read; create it with username and password, or leave spec.authSecret out"
    )]
    AuthSecretMissing {
        /// `namespace/name`.
        place: String,
    },
    /// It is not known yet whether somebody else holds the name of the Secret.
    #[error("Secret {place} is being looked up; wait a moment")]
    SecretUnknown {
        /// `namespace/name`.
        place: String,
    },
    /// Somebody else holds the name of the Secret.
    #[error(
        "Secret {place} belongs to {holder}; choose another secretName for the {alias} certificate in spec.tls.certificates"
    )]
    SecretNameConflict {
        /// `namespace/name`.
        place: String,
        /// Who holds it.
        holder: String,
        /// The certificate.
        alias: &'static str,
    },
    /// Somebody else wrote the Secret, and it would be written over.
    #[error(
        "Secret {place} belongs to {holder}; delete it, or choose another secretName for the {alias} certificate in spec.tls.certificates"
    )]
    SecretForeign {
        /// `namespace/name`.
        place: String,
        /// Who holds it.
        holder: String,
        /// The certificate.
        alias: &'static str,
    },
    /// Its turn has not come.
    #[error(
        "Certificate {certificate} is issued anew when every pod serves the server certificate of {issuer}, and so \
         trusts that issuer's certificates; until then the one that is there is accepted"
    )]
    HeldBack {
        /// `namespace/name`.
        certificate: String,
        /// Kind and name.
        issuer: String,
    },
    /// Somebody else owns the Certificate.
    #[error("Certificate {place} exists and belongs to {owner}; delete it, or rename this Pgpool")]
    NameConflict {
        /// `namespace/name`.
        place: String,
        /// The owner.
        owner: String,
    },
}

impl Refusal {
    /// Tells whether this says no more than that a look-up has not been answered yet.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::CertManagerStarting { .. } | Self::SecretUnknown { .. }
        )
    }

    /// The reason in conditions.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::CertManagerAbsent { .. } | Self::CertManagerForbidden => Reason::CertManagerAbsent,
            // For the moment that it takes to fill a cache.
            Self::CertManagerStarting { .. } | Self::SecretUnknown { .. } => Reason::Issuing,
            Self::IssuerUnnamed { .. } | Self::IssuerNotFound { .. } => Reason::IssuerNotFound,
            Self::IssuerKindUnsupported { .. } => Reason::IssuerKindUnsupported,
            Self::IssuerNotReady { .. } => Reason::IssuerNotReady,
            Self::FieldUnreadable { .. } => Reason::NotSupported,
            Self::WaitingForProvisioner { .. } | Self::AuthSecretMissing { .. } => {
                Reason::WaitingForProvisioner
            }
            Self::SecretNameConflict { .. } | Self::SecretForeign { .. } => Reason::SecretNameConflict,
            Self::HeldBack { .. } => Reason::WaitingForTrust,
            Self::NameConflict { .. } => Reason::NameConflict,
        }
    }
}

fn colon(message: &str) -> String {
    let message = message.trim().trim_end_matches('.');
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}
