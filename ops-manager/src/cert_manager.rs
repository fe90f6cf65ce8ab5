//! The four kinds of cert-manager, as thin as we use them: what is not written here is dropped when an object
//! is read, so that a cache of a thousand `CertificateRequest`s holds no CSR.
//!
//! Optional fields that are not needed are never sent, so that other versions of cert-manager do not reject them.

pub(crate) mod renew;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use shared_types::{Alias, Pgpool};

/// The API group of cert-manager.
pub const GROUP: &str = "cert-manager.io";

/// Annotation on a `CertificateRequest`, and on an issued Secret: the `Certificate` it was made for.
pub const CERTIFICATE_NAME: &str = "cert-manager.io/certificate-name";
/// Annotation on an issued Secret: the issuer's name.
pub const ISSUER_NAME: &str = "cert-manager.io/issuer-name";
/// Annotation on an issued Secret: the issuer's kind.
pub const ISSUER_KIND: &str = "cert-manager.io/issuer-kind";
/// Annotation on an issued Secret: the issuer's API group.
pub const ISSUER_GROUP: &str = "cert-manager.io/issuer-group";

/// What to issue, and into which Secret.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "Certificate",
    namespaced,
    status = "CertificateStatus",
    schema = "disabled",
    derive = "Default",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateSpec {
    /// The common name of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
    /// The other parts of the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// How long the certificate is valid, as a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// How long before its end it is renewed, as a Go duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<String>,
    /// Subject alternative names: DNS names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// Subject alternative names: addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// Subject alternative names: URIs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// Subject alternative names: mail addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub email_addresses: Vec<String>,
    /// The Secret that cert-manager writes.
    pub secret_name: String,
    /// Metadata of that Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_template: Option<SecretTemplate>,
    /// Who issues.
    pub issuer_ref: IssuerReference,
    /// Key usages, in cert-manager's words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub usages: Vec<String>,
    /// How the private key is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKey>,
    /// How many finished requests are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i32>,
}

/// The parts of an X.509 subject beside the common name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Subject {
    /// O
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// OU
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organizational_units: Vec<String>,
    /// C
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// L
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub localities: Vec<String>,
    /// ST
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provinces: Vec<String>,
    /// STREET
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub street_addresses: Vec<String>,
    /// Postal codes
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub postal_codes: Vec<String>,
    /// Serial number
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
}

/// Who issues a `Certificate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct IssuerReference {
    /// API group; cert-manager's own when empty.
    pub group: String,
    /// `Issuer`, `ClusterIssuer`, or a kind of another group.
    pub kind: String,
    /// Name of the object.
    pub name: String,
}

impl IssuerReference {
    /// The issuer of one certificate as cert-manager wants it written: group and kind are never empty.
    pub(crate) fn of(pgpool: &Pgpool, alias: Alias) -> Option<Self> {
        let issuer = pgpool.spec.issuer_ref(alias)?;
        let group = issuer.api_group.as_deref().filter(|group| !group.is_empty());
        Some(Self {
            group: group.unwrap_or(GROUP).to_owned(),
            kind: issuer.kind.clone(),
            name: issuer.name.clone(),
        })
    }

    /// Those of all certificates; one issuer may come more than once.
    pub(crate) fn all_of(pgpool: &Pgpool) -> impl Iterator<Item = Self> {
        Alias::ALL.into_iter().filter_map(|alias| Self::of(pgpool, alias))
    }
}

/// Metadata that cert-manager copies to the Secret it writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretTemplate {
    /// Labels of the Secret.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How the private key is made and stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrivateKey {
    /// `RSA`, `ECDSA` or `Ed25519`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// `PKCS1` or `PKCS8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i32>,
    /// `Always` or `Never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_policy: Option<String>,
}

/// How far cert-manager is with a `Certificate`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateStatus {
    /// `Ready` and `Issuing`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Failed attempts in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_issuance_attempts: Option<i32>,
    /// How often it was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// When it is to be renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_time: Option<Time>,
}

/// A condition in cert-manager's form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// The type of the condition.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason, in CamelCase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The message for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the status changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// The generation of the Certificate that it is based on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A namespaced issuer. Only cert-manager needs the rest of its spec.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "Issuer",
    namespaced,
    status = "IssuerStatus",
    schema = "disabled",
    derive = "Default",
    derive = "PartialEq"
)]
#[serde(default)]
pub struct IssuerSpec {
    /// Where its CA is, if it signs with one itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaIssuer>,
}

/// An issuer that signs with a CA of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CaIssuer {
    /// The Secret with its certificate and key.
    pub secret_name: String,
}

/// An issuer for all namespaces. The rest of its spec is cert-manager's business.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "ClusterIssuer",
    status = "IssuerStatus",
    schema = "disabled",
    derive = "Default",
    derive = "PartialEq"
)]
#[serde(default)]
pub struct ClusterIssuerSpec {
    /// Where its CA is, if it signs with one itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaIssuer>,
}

/// Whether an issuer can issue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IssuerStatus {
    /// `Ready`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// One attempt to have a `Certificate` issued. The request itself is never read.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "cert-manager.io",
    version = "v1",
    kind = "CertificateRequest",
    namespaced,
    status = "CertificateRequestStatus",
    schema = "disabled",
    derive = "Default",
    derive = "PartialEq"
)]
pub struct CertificateRequestSpec {}

/// How far an attempt is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateRequestStatus {
    /// `Ready`, `Approved`, `Denied`, `InvalidRequest`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it failed permanently; may be set without a `Ready` condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_time: Option<Time>,
}

/// Finds a condition by its type.
pub fn condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

impl Condition {
    /// Whether the condition holds.
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }

    /// The message, or the reason where there is none.
    pub(crate) fn message_or_reason(&self) -> &str {
        let message = self.message.as_deref().filter(|message| !message.is_empty());
        message.or(self.reason.as_deref()).unwrap_or_default()
    }
}

impl Certificate {
    /// How often it was issued.
    pub(crate) fn revision(&self) -> Option<i64> {
        self.status.as_ref()?.revision
    }

    /// cert-manager is issuing it, or was requested to.
    pub(crate) fn is_issuing(&self) -> bool {
        self.condition("Issuing").is_some_and(Condition::is_true)
    }

    /// Finds a condition of the status.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.status
            .as_ref()
            .and_then(|status| condition(&status.conditions, type_))
    }
}

impl CertificateRequest {
    /// Finds a condition of the status.
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.status
            .as_ref()
            .and_then(|status| condition(&status.conditions, type_))
    }
}
