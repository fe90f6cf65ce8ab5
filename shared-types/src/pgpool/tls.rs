//! Certificates of a Pgpool.

mod accepted;
mod private_key;

use kube::KubeSchema;
use kube::core::Rule as CelRule;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

pub use self::accepted::{LIFETIME, SHORTEST, SHORTEST_RENEWAL, is_dns_name, is_email_address, is_uri};
pub use self::private_key::{KeyAlgorithm, KeyEncoding, KeyRotation, PrivateKey};
use super::Alias;
use crate::{
    object::GoDuration,
    rules::{add, limit, object_name, optional_name, rule},
    schema,
};

/// Certificates of the pool, and their issuer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "has(self.issuerRef)",
    "spec.tls needs an issuer: set spec.tls.issuerRef to the kind and name of an Issuer or ClusterIssuer",
))]
#[x_kube(validation = own_names_given())]
pub struct TlsConfig {
    /// Issuer of every certificate that does not name its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// Which names the server and metrics-exporter certificates are requested for; `full` when unset. An issuer that signs
    /// only some names may need another value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<CertificateNames>")]
    pub names: Option<CertificateNames>,
    /// Settings of single certificates. Certificates that are not listed are issued with defaults.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "certificates")]
    pub certificates: Vec<CertificateSpec>,
}

/// Which names the certificates of the pool are requested for, beside those that the user adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateNames {
    /// Every Service in each of its forms, the pods, and loopback.
    #[default]
    Full,
    /// The full name of the Service that clients use, such as `pool.shop.svc.cluster.local`.
    Service,
    /// None: only the `dnsNames` and `ipAddresses` of the user.
    Own,
}

/// Without a name nobody could verify the server.
fn own_names_given() -> CelRule {
    let given = |field: &str| format!("has(c.{field}) && size(c.{field}) > 0");
    rule(
        format!(
            "!has(self.names) || self.names != 'own' || (has(self.certificates) && self.certificates.exists(c, c.alias == \
             'server' && ({} || {})))",
            given("dnsNames"),
            given("ipAddresses")
        ),
        "own needs a name to request: set dnsNames or ipAddresses of the server certificate in spec.tls.certificates",
    )
    .field_path(".names")
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
#[x_kube(validation = accepted::long_enough())]
#[x_kube(validation = accepted::renewed_in_time())]
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
    #[x_kube(validation = accepted::dns_names())]
    pub dns_names: Vec<String>,
    /// IP addresses to add to the generated ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(inner(length(max = 45)))]
    #[x_kube(validation = accepted::ip_addresses())]
    pub ip_addresses: Vec<String>,
    /// URIs to add, such as a SPIFFE ID.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(inner(length(max = 512)))]
    #[x_kube(validation = accepted::uris())]
    pub uris: Vec<String>,
    /// E-mail addresses to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[schemars(inner(length(max = 254)))]
    #[x_kube(validation = accepted::email_addresses())]
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
