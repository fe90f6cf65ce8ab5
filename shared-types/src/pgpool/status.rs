//! Status of a Pgpool, written by both operators.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Alias, Phase};
use crate::schema;

/// Observed state of the pool. Both operators write it: each list is merged by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PgpoolStatus {
    /// Summary of the state of the Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<Phase>")]
    pub phase: Option<Phase>,
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Current conditions of the Pgpool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Certificates that were issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "certificates")]
    pub certificates: Vec<CertificateStatus>,
    /// Certificate that each pod serves, as the provisioner observes it from outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pods")]
    pub pods: Vec<PodStatus>,
}

/// State of a certificate in its Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Which certificate: `server`, `client` or `metrics-exporter`.
    pub alias: Alias,
    /// Name of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Start of the validity of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub not_before: Option<Time>,
    /// End of the validity of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub not_after: Option<Time>,
    /// Whether the certificate is valid: key, chain, names, usages and time.
    pub ready: bool,
    /// Reason why the certificate is not valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is wrong with the certificate, and how to fix it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often the certificate changed recently. Used to stop endless renewals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<CertificateChanges>,
}

/// How often a certificate changed recently. Kept in the status, because it must survive a restart of the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateChanges {
    /// Start of the window in which changes are counted.
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub since: Time,
    /// How often cert-manager issued the certificate in the window.
    pub issued: i64,
    /// How often anyone else overwrote the Secret in the window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overwritten: i64,
    /// Revision of the `Certificate` at the start of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Field manager that last overwrote the Secret, other than cert-manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// When the limit was exceeded and renewal was suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub stopped: Option<Time>,
    /// Value of the resume annotation at that time. Another value resumes renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// State of a pod, as observed from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    /// Name of the pod.
    pub name: String,
    /// Whether the pod serves the certificate that it should.
    pub ready: bool,
    /// SHA-256 of the served certificate, in lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_fingerprint: Option<String>,
    /// End of the validity of the served certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub served_not_after: Option<Time>,
    /// What is wrong with the pod, and how to fix it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn certificates(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map(&generator.subschema_for::<CertificateStatus>(), "alias")
}

fn pods(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map(&generator.subschema_for::<PodStatus>(), "name")
}
