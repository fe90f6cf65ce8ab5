//! The observed state of a `PgpoolOpsRequest`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::pgpool::Alias;
use crate::schema;

/// Observed state of the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PgpoolOpsRequestStatus {
    /// Summary of the state of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<OpsPhase>")]
    pub phase: Option<OpsPhase>,
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Steps that are done, one condition each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the Pgpool that has the requested spec. Used to see when the provisioner has applied it.
    // Must be stored: a user may have edited the Pgpool since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_generation: Option<i64>,
    /// Certificates before they were issued again. Only for requests that rotate certificates.
    // Must be stored, so that each certificate is requested once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "replaced")]
    pub replaced_certificates: Vec<ReplacedCertificate>,
    /// Always empty. Kept for compatibility.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused_backups: Vec<crate::app_binding::AppReference>,
}

/// A certificate before it was issued again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplacedCertificate {
    /// Which certificate: `server`, `client` or `metrics-exporter`.
    pub alias: Alias,
    /// Revision of the `Certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Summary of the state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OpsPhase {
    /// Waits for other requests, or has not started.
    Pending,
    /// In progress.
    Progressing,
    /// Done.
    Successful,
    /// Given up.
    Failed,
    /// Superseded before it started.
    Skipped,
    /// Waits for approval.
    WaitingForApproval,
    /// Approved.
    Approved,
    /// Denied.
    Denied,
}

fn replaced(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map(&generator.subschema_for::<ReplacedCertificate>(), "alias")
}
