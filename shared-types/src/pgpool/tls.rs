//! Certificates a user asks for.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Alias;
use crate::{object::GoDuration, schema};

/// Certificates, and the issuer that signs them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsConfig {
    /// The issuer of every certificate that names no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// Wishes for single certificates; those not named here are issued all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "certificates")]
    pub certificates: Vec<CertificateSpec>,
}

/// An `Issuer` of the Pgpool's namespace, or a `ClusterIssuer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct IssuerRef {
    /// API group; `cert-manager.io` when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_group: Option<String>,
    /// `Issuer` or `ClusterIssuer`; with `apiGroup`, the kind of an external issuer.
    pub kind: String,
    /// Name of the issuer: in the namespace of the Pgpool, or of the cluster.
    pub name: String,
}

/// Wishes for one certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateSpec {
    /// Which certificate: `server`, `client` or `metrics-exporter`.
    // Text, not an `Alias`: another word in an object stored before this schema must not stop the
    // watch of all others.
    #[schemars(schema_with = "alias")]
    pub alias: String,
    /// The issuer of this certificate, in place of that of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// The Secret it is written to; `<name>-<alias>-cert` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Parts of the subject name beside the common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// How long it is valid, such as `2160h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// How long before its end it is renewed, such as `360h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<GoDuration>,
    /// DNS names, added to those the operator asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// IP addresses, added to those the operator asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// URIs that the certificate names, such as a SPIFFE id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// E-mail addresses that the certificate names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub email_addresses: Vec<String>,
    /// Form in which the private key is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKey>,
}

/// Parts of an X.509 subject name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Organizations (O) of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<String>,
    /// Countries (C), in two letters each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// Organizational units (OU) of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizational_units: Vec<String>,
    /// Cities (L) of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub localities: Vec<String>,
    /// States or provinces (ST) of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provinces: Vec<String>,
    /// Street addresses of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub street_addresses: Vec<String>,
    /// Postal codes of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub postal_codes: Vec<String>,
    /// Serial number of the subject, not of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
}

/// Form of a private key.
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
    /// The key of one algorithm by itself.
    #[default]
    Pkcs1,
    /// The key with its algorithm.
    Pkcs8,
}

/// The wishes for single certificates: one for each alias.
pub(crate) fn certificates(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map(&generator.subschema_for::<CertificateSpec>(), "alias")
}

fn alias(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Alias::ALL.map(Alias::as_str) })
}
