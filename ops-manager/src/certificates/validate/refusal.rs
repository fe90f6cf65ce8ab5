//! Why a certificate is not requested: the reason and the message of the condition. Each message names the object and how
//! to fix it.

use shared_types::certificates;
use shared_types::conditions::Reason;
use shared_types::explanation::Explanation;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "cert-manager is not installed: the API server does not serve {kind}; \
         install cert-manager: this operator detects it within a minute"
    )]
    CertManagerAbsent { kind: &'static str },
    #[error("Reading cert-manager's {kind} objects")]
    CertManagerStarting { kind: &'static str },
    #[error(
        "this operator may not list Certificates; grant it get, list, watch, create, patch and delete on certificates.cert-manager.io"
    )]
    CertManagerForbidden,
    #[error("{problem}")]
    TooLarge {
        /// What is too large, and what to do.
        problem: String,
    },
    #[error("the {alias} certificate has no issuer; set spec.tls.issuerRef")]
    IssuerUnnamed { alias: &'static str },
    #[error(
        "{kind} {name} cannot issue: cert-manager supports the kinds Issuer and ClusterIssuer; correct the kind in issuerRef, or name the apiGroup of an external issuer"
    )]
    IssuerKindUnsupported { kind: String, name: String },
    #[error("{kind} {place} does not exist; create it, or correct issuerRef")]
    IssuerNotFound { kind: String, place: String },
    #[error("{kind} {place} is not ready{}; see kubectl describe {} {place}", colon(message), kind.to_lowercase())]
    IssuerNotReady {
        kind: String,
        place: String,
        message: String,
    },
    #[error("spec.tls.certificates[{alias}].{field} is {value:?}, which is {problem}; write {example}")]
    FieldInvalid {
        alias: &'static str,
        field: &'static str,
        value: String,
        problem: &'static str,
        example: &'static str,
    },
    #[error(
        "spec.tls.names is own, but the server certificate has no name to request: set its dnsNames or ipAddresses in \
         spec.tls.certificates, or another value of spec.tls.names"
    )]
    NameNeeded,
    #[error(
        "Secret {place} has a private key of another algorithm or size, which cert-manager keeps because \
         spec.tls.certificates[{alias}].privateKey.rotationPolicy is Never: set it to Always until the certificate has its new \
         key"
    )]
    KeyKept { place: String, alias: &'static str },
    #[error(
        "nobody checked whether the author of the {alias} certificate may set {fields}: {missing}; install or upgrade the chart pgpool-crds, or remove the fields"
    )]
    RightsNotChecked {
        alias: &'static str,
        fields: String,
        missing: String,
    },
    #[error(
        "waiting for the provisioner to create {objects}; see the conditions of the Pgpool, and check that the provisioner runs"
    )]
    WaitingForProvisioner {
        /// `Secret a/b and Secret a/c`.
        objects: String,
    },
    #[error(
        "Secret {place}, named in spec.authSecret, does not exist or may not be read; create it with username and password, or remove spec.authSecret"
    )]
    AuthSecretMissing { place: String },
    #[error("Looking up Secret {place}")]
    SecretUnknown { place: String },
    #[error(
        "Secret {place} belongs to {holder}; choose another secretName for the {alias} certificate in spec.tls.certificates"
    )]
    SecretNameConflict {
        place: String,
        holder: String,
        alias: &'static str,
    },
    /// Someone else wrote the Secret, and cert-manager would overwrite it.
    #[error(
        "Secret {place} belongs to {holder}; delete it, or choose another secretName for the {alias} certificate in spec.tls.certificates"
    )]
    SecretForeign {
        place: String,
        holder: String,
        alias: &'static str,
    },
    #[error(
        "Certificate {certificate} is renewed once every pod serves the server certificate of {issuer}, and so trusts \
         certificates of that issuer; until then the current one is accepted"
    )]
    HeldBack { certificate: String, issuer: String },
    /// Clients would log in by certificates of an issuer that may serve other namespaces.
    #[error("{message}")]
    ClientIssuerShared { message: String },
    #[error(
        "the CA of {issuer}, which issues the {alias} certificate, has also signed certificates of a Pgpool in another \
         namespace: with clientAuthMode cert, everyone who gets a certificate from it there could log in as {}; {}",
        certificates::CLIENT_USER,
        certificates::how_to_fix()
    )]
    ClientCaUsedElsewhere { alias: &'static str, issuer: String },
    #[error("Looking up who else has certificates of the CA")]
    ClientCaUnknown,
    /// OpenSSL takes a certificate for self-signed if its subject and issuer are the same and it has no subject key
    /// identifier, which cert-manager does not request.
    #[error(
        "the {alias} certificate would have the subject {subject:?}, which is also that of the CA of {issuer}: it would count as \
         self-signed, and be rejected; issue the CA again under another name, or name another issuer for the {alias} \
         certificate in spec.tls.certificates"
    )]
    SubjectOfCa {
        alias: &'static str,
        subject: String,
        issuer: String,
        /// Whether logins depend on the certificate.
        logs_in: bool,
    },
    #[error("Certificate {place} exists and belongs to {owner}; delete it, or rename this Pgpool")]
    NameConflict { place: String, owner: String },
}

impl Refusal {
    /// A look-up has not been answered yet.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::CertManagerStarting { .. } | Self::SecretUnknown { .. } | Self::ClientCaUnknown
        )
    }

    /// Clients must not, or cannot, log in by certificates of this CA.
    pub(crate) fn is_about_clients(&self) -> bool {
        matches!(
            self,
            Self::ClientIssuerShared { .. }
                | Self::ClientCaUsedElsewhere { .. }
                | Self::SubjectOfCa { logs_in: true, .. }
        )
    }

    pub(crate) fn explanation(&self) -> Explanation {
        Explanation::new(self.reason(), self.to_string())
    }

    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::CertManagerAbsent { .. } | Self::CertManagerForbidden => Reason::CertManagerAbsent,
            Self::TooLarge { .. } => Reason::ConfigurationInvalid,
            // For the moment that it takes to fill a cache.
            Self::CertManagerStarting { .. } | Self::SecretUnknown { .. } | Self::ClientCaUnknown => {
                Reason::Issuing
            }
            Self::ClientIssuerShared { .. } => Reason::ClientIssuerNotNamespaced,
            Self::ClientCaUsedElsewhere { .. } => Reason::ClientCaUsedElsewhere,
            Self::IssuerUnnamed { .. } | Self::IssuerNotFound { .. } => Reason::IssuerNotFound,
            Self::IssuerKindUnsupported { .. } => Reason::IssuerKindUnsupported,
            Self::IssuerNotReady { .. } => Reason::IssuerNotReady,
            Self::FieldInvalid { .. } | Self::NameNeeded | Self::KeyKept { .. } => Reason::NotSupported,
            Self::RightsNotChecked { .. } => Reason::RightsNotChecked,
            Self::WaitingForProvisioner { .. } | Self::AuthSecretMissing { .. } => {
                Reason::WaitingForProvisioner
            }
            Self::SecretNameConflict { .. } | Self::SecretForeign { .. } => Reason::SecretNameConflict,
            Self::HeldBack { .. } => Reason::WaitingForTrust,
            Self::SubjectOfCa { .. } => Reason::SubjectOfCa,
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
