//! Certificates of a Pgpool.

use kube::KubeSchema;
use kube::core::Rule as CelRule;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::Alias;
use crate::{
    object::{GO_DURATION, GoDuration},
    rules::{add, limit, object_name, optional_name, rule},
    schema,
};

/// Limits of cert-manager: <https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateSpec>.
const SHORTEST: &str = "1h";
const SHORTEST_RENEWAL: &str = "5m";
/// How long a certificate is valid when the spec does not say.
const DEFAULT: &str = "2160h";

/// Certificates of the pool, and their issuer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "has(self.issuerRef)",
    "spec.tls needs an issuer: set spec.tls.issuerRef to the kind and name of an Issuer or ClusterIssuer",
))]
pub struct TlsConfig {
    /// Issuer of every certificate that does not name its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// Settings of single certificates. Certificates that are not listed are issued with defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "certificates")]
    pub certificates: Vec<CertificateSpec>,
}

/// A reference to an `Issuer` in the namespace of the Pgpool, or to a `ClusterIssuer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
#[x_kube(validation = rule(
    "self.kind in ['Issuer', 'ClusterIssuer'] || (self.kind != '' && has(self.apiGroup) && !(self.apiGroup in ['', \
     'cert-manager.io']))",
    "must be Issuer or ClusterIssuer, or set apiGroup for an external issuer",
).field_path(".kind"))]
pub struct IssuerRef {
    /// API group; `cert-manager.io` when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub api_group: Option<String>,
    /// `Issuer` or `ClusterIssuer`; with `apiGroup`, the kind of an external issuer.
    #[schemars(length(max = 63))]
    pub kind: String,
    /// Name of the issuer.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object_name())]
    pub name: String,
}

impl IssuerRef {
    const CERT_MANAGER: &str = "cert-manager.io";

    fn group(&self) -> &str {
        let group = self.api_group.as_deref().filter(|group| !group.is_empty());
        group.unwrap_or(Self::CERT_MANAGER)
    }

    /// Whether both name the same issuer for one Pgpool.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.group(), &self.kind, &self.name) == (other.group(), &other.kind, &other.name)
    }

    /// Whether it is known that every namespace can use it.
    #[must_use]
    pub fn is_of_every_namespace(&self) -> bool {
        self.group() == Self::CERT_MANAGER && self.kind == "ClusterIssuer"
    }

    /// Whether only its own namespace can use it. The scope of external kinds is not known.
    #[must_use]
    pub fn is_of_one_namespace(&self) -> bool {
        self.group() == Self::CERT_MANAGER && self.kind == "Issuer"
    }
}

/// Settings of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = long_enough())]
#[x_kube(validation = renewed_in_time())]
pub struct CertificateSpec {
    /// Which certificate: `server`, `client` or `metrics-exporter`.
    // Text, not an `Alias`: another value in an object that was stored before this schema must not break the watch of
    // all objects.
    #[schemars(schema_with = "schema::word::<Alias>")]
    pub alias: String,
    /// Issuer of this certificate, instead of the one of all certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// Secret that cert-manager writes the certificate to; `<name>-<alias>-cert` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = optional_name())]
    pub secret_name: Option<String>,
    /// Subject of the certificate, without the common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// How long the certificate is valid, such as `2160h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub duration: Option<GoDuration>,
    /// How long before it expires the certificate is renewed, such as `360h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub renew_before: Option<GoDuration>,
    /// DNS names to add to the generated ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(inner(length(max = 253)))]
    pub dns_names: Vec<String>,
    /// IP addresses to add to the generated ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(inner(length(max = 45)))]
    pub ip_addresses: Vec<String>,
    /// URIs to add, such as a SPIFFE ID.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(inner(length(max = 512)))]
    pub uris: Vec<String>,
    /// E-mail addresses to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(inner(length(max = 254)))]
    pub email_addresses: Vec<String>,
    /// Private key of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKey>,
}

/// An X.509 subject, without the common name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Organizations (O) of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(inner(length(max = 128)))]
    pub organizations: Vec<String>,
    /// Countries (C) of the subject, as two-letter codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(inner(length(max = 128)))]
    pub countries: Vec<String>,
    /// Organizational units (OU) of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(inner(length(max = 128)))]
    pub organizational_units: Vec<String>,
    /// Cities (L) of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(inner(length(max = 128)))]
    pub localities: Vec<String>,
    /// States or provinces (ST) of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(inner(length(max = 128)))]
    pub provinces: Vec<String>,
    /// Street addresses of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(inner(length(max = 128)))]
    pub street_addresses: Vec<String>,
    /// Postal codes of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[schemars(inner(length(max = 128)))]
    pub postal_codes: Vec<String>,
    /// Serial number of the subject (not of the certificate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub serial_number: Option<String>,
}

/// Settings of a private key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrivateKey {
    /// Encoding of the private key; `PKCS1` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<KeyEncoding>")]
    pub encoding: Option<KeyEncoding>,
}

/// Encoding of a private key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeyEncoding {
    /// PKCS #1 for RSA keys, SEC 1 for ECDSA keys.
    #[default]
    Pkcs1,
    /// PKCS #8.
    Pkcs8,
}

/// Settings of single certificates, one entry per alias.
pub(crate) fn certificates(generator: &mut SchemaGenerator) -> Schema {
    let mut list = schema::list_map(&generator.subschema_for::<CertificateSpec>(), "alias");
    limit(&mut list, "", "maxItems", 16);
    add(
        &mut list,
        "",
        &rule(
            "self.all(a, !has(a.secretName) || a.secretName == '' || self.exists_one(b, has(b.secretName) && b.secretName \
             == a.secretName))",
            "must not write two certificates to one Secret: use different secretNames, or leave them out",
        ),
    );
    list
}

/// What is not a duration is rejected by its pattern: a rule would add a second error.
fn not_a_duration(field: &str) -> String {
    format!("!has(self.{field}) || !self.{field}.matches(r'{GO_DURATION}')")
}

fn long_enough() -> CelRule {
    rule(
        format!(
            "{} || duration(self.duration) >= duration('{SHORTEST}')",
            not_a_duration("duration")
        ),
        format!("must be {SHORTEST} or more, which is the minimum of cert-manager"),
    )
    .field_path(".duration")
}

fn renewed_in_time() -> CelRule {
    let valid = format!(
        "duration(has(self.duration) && self.duration.matches(r'{GO_DURATION}') ? self.duration : '{DEFAULT}')"
    );
    rule(
        format!(
            "{} || (duration(self.renewBefore) >= duration('{SHORTEST_RENEWAL}') && duration(self.renewBefore) < {valid})",
            not_a_duration("renewBefore")
        ),
        format!("must be {SHORTEST_RENEWAL} or more, and shorter than duration, which is {DEFAULT} when unset"),
    )
    .field_path(".renewBefore")
}
