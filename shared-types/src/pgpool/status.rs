//! What both operators tell about a Pgpool.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{Alias, Phase};
use crate::schema;

/// What both operators observe. Each list is merged by key, so that they can share it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PgpoolStatus {
    /// Where the Pgpool stands, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<Phase>")]
    pub phase: Option<Phase>,
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the Pgpool stands, in detail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The certificates that were issued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "certificates")]
    pub certificates: Vec<CertificateStatus>,
    /// What each pod serves, as the provisioner sees it from outside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pods")]
    pub pods: Vec<PodStatus>,
}

/// One certificate, as it stands in its Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Which certificate: `server`, `client` or `metrics-exporter`.
    pub alias: Alias,
    /// The Secret it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Since when the certificate is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub not_before: Option<Time>,
    /// Until when the certificate is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub not_after: Option<Time>,
    /// It fits: key, chain, names, usages and time.
    pub ready: bool,
    /// Why it does not fit, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it does not fit, and what helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often it changed of late: by this a loop of renewals is noticed and ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<CertificateChanges>,
}

/// How often a certificate changed of late. It cannot be observed again, so it is kept here and not in the memory of an
/// operator that may be restarted by what it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateChanges {
    /// Since when the changes are counted.
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub since: Time,
    /// How often cert-manager has issued it since then.
    pub issued: i64,
    /// How often somebody else has overwritten its Secret since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overwritten: i64,
    /// The revision that the Certificate had then, by cert-manager's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Who was seen last to write the Secret beside cert-manager: the name of a field manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// When it was found to be too often, and everything was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub stopped: Option<Time>,
    /// The annotation that resumes it, as it stood then: another value resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// One pod, as seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    /// Name of the pod.
    pub name: String,
    /// It serves the certificate that it should.
    pub ready: bool,
    /// SHA-256 of the certificate it serves, in lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_fingerprint: Option<String>,
    /// When the certificate it serves ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<Time>")]
    pub served_not_after: Option<Time>,
    /// What is wrong, and what helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

fn certificates(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map(&generator.subschema_for::<CertificateStatus>(), "alias")
}

fn pods(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map(&generator.subschema_for::<PodStatus>(), "name")
}
