//! `PgpoolOpsRequest`: one operation on a Pgpool, asked for once.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::{
    object::{GoDuration, LocalReference, TypedReference},
    pgpool::{Alias, Backend, CertificateSpec, ClientAuthMode, IssuerRef, SslMode},
    schema,
};

/// One operation on a Pgpool.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "ops.kubedb.com",
    version = "v1alpha1",
    kind = "PgpoolOpsRequest",
    plural = "pgpoolopsrequests",
    shortname = "ppops",
    namespaced,
    status = "PgpoolOpsRequestStatus",
    derive = "PartialEq",
    category = "ops",
    category = "kubedb",
    category = "appscode",
    doc = "One operation on a Pgpool",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PgpoolOpsRequestSpec {
    /// The Pgpool, in the namespace of the request.
    pub database_ref: LocalReference,
    /// The operation, which decides which of the other fields is set.
    #[serde(rename = "type")]
    pub type_: OpsType,
    /// How long each step may take, waiting for a Pgpool that is `Ready` included, such as `5m`; no limit when unset. A
    /// request that takes longer fails; what it has changed stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Whether to run when the Pgpool is not `Ready`; `IfReady` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<ApplyOption>")]
    pub apply: Option<ApplyOption>,
    /// Accepted for compatibility, without effect: a request to the API server that fails is tried again until `timeout`,
    /// and what was refused would be refused again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// What `UpdateVersion` does: the version to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_version: Option<UpdateVersion>,
    /// What `HorizontalScaling` does: another number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizontal_scaling: Option<HorizontalScaling>,
    /// What `VerticalScaling` does: other resources or other nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertical_scaling: Option<VerticalScaling>,
    /// What `Reconfigure` does: new settings or backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Reconfigure>,
    /// What `ReconfigureTLS` does: add, change, rotate or remove certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ReconfigureTls>,
    /// What `RotateAuth` does: which credentials come next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<RotateAuth>,
    /// Of `Restart`, which has nothing to choose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

/// The operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OpsType {
    /// Run another version.
    UpdateVersion,
    /// Restart every pod.
    Restart,
    /// Change settings.
    Reconfigure,
    /// Change resources.
    VerticalScaling,
    /// Change the number of pods.
    HorizontalScaling,
    /// Add, change, rotate or remove certificates.
    #[serde(rename = "ReconfigureTLS")]
    ReconfigureTls,
    /// Change the password of the PCP user.
    RotateAuth,
}

/// When to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ApplyOption {
    /// Only on a Pgpool that is `Ready`.
    #[default]
    IfReady,
    /// Whatever the phase.
    Always,
}

/// Runs another version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateVersion {
    /// Name of the `PgpoolVersion` to run next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_version: Option<String>,
}

/// Changes the number of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HorizontalScaling {
    /// The new number of pods of the Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<i32>,
}

/// Changes resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerticalScaling {
    /// The new resources of the `pgpool` container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeResources>,
    /// With or without a restart; `Restart` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<VerticalScalingMode>")]
    pub mode: Option<VerticalScalingMode>,
}

/// How resources are changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum VerticalScalingMode {
    /// Pods are restarted.
    #[default]
    Restart,
    /// Pods keep running, and are resized one after the other. One that cannot be is replaced: where its node never has as
    /// much, where a limit is taken away, and where Kubernetes is older than 1.33.
    InPlace,
}

/// Resources, and the nodes that have them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeResources {
    /// The new CPU and memory of container `pgpool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// How `topology` chooses nodes: `LabelSelector` or `Taint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selection_policy: Option<String>,
    /// A label or taint by which nodes are chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
}

/// A label or taint of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// Key of the label or taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Value of the label or taint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Changes settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reconfigure {
    /// Secret with key `pgpool.conf`, in place of the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_secret: Option<LocalReference>,
    /// Settings merged over the present ones, by file name (`pgpool.conf`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apply_config: BTreeMap<String, String>,
    /// Drop all settings of yours first: Secret, inline text and backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_custom_config: Option<bool>,
    /// Whether pods are restarted; `auto` when unset. `false` is as `auto`: a setting that only a restart puts into effect
    /// restarts the pods, one by one, and no other does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<ReconfigureRestart>")]
    pub restart: Option<ReconfigureRestart>,
    /// Changes to the list of backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<ReconfigureBackend>,
}

/// Whether pods are restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReconfigureRestart {
    /// Where a setting needs it.
    #[default]
    Auto,
    /// Always.
    True,
    /// Not more than needed, which is as `auto`.
    False,
}

/// Changes to the backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconfigureBackend {
    /// Backends that replace those of the same name, or are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sync: Vec<Backend>,
    /// Backends that are taken away, by group or host name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delete: Vec<Backend>,
}

/// Adds, changes, rotates or removes certificates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReconfigureTls {
    /// The issuer of every certificate that names no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// Wishes for single certificates, in place of the present ones of the same alias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::pgpool::tls::certificates")]
    pub certificates: Vec<CertificateSpec>,
    /// Issue every certificate anew, with new keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_certificates: Option<bool>,
    /// Remove certificates and go without TLS; clients that demand it are refused then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<bool>,
    /// The new `spec.sslMode` of the Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<SslMode>")]
    pub ssl_mode: Option<SslMode>,
    /// The new `spec.clientAuthMode` of the Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<ClientAuthMode>")]
    pub client_auth_mode: Option<ClientAuthMode>,
}

/// Changes the password of the PCP user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotateAuth {
    /// Secret with the new credentials; generated when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<TypedReference>,
}

/// Restarts every pod; there is nothing to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restart {}

/// Where an operation stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PgpoolOpsRequestStatus {
    /// Where it stands, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<OpsPhase>")]
    pub phase: Option<OpsPhase>,
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The steps done so far, one condition each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The generation of the Pgpool whose spec says what is asked for: by it one knows when the provisioner has done it.
    // Progress that cannot be observed again: a user may have edited the Pgpool since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_generation: Option<i64>,
    /// The certificates as they were before they were issued anew. Only of a request that rotates them.
    // Progress that cannot be observed again: by it each is asked for once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "replaced")]
    pub replaced_certificates: Vec<ReplacedCertificate>,
    /// Backups paused meanwhile; always empty for a pooler.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused_backups: Vec<crate::app_binding::AppReference>,
}

/// A certificate as it was before it was issued anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplacedCertificate {
    /// Which certificate: `server`, `client` or `metrics-exporter`.
    pub alias: Alias,
    /// How often cert-manager had issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

fn replaced(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map(&generator.subschema_for::<ReplacedCertificate>(), "alias")
}

/// Where an operation stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OpsPhase {
    /// Queued.
    Pending,
    /// Runs.
    Progressing,
    /// Done.
    Successful,
    /// Given up.
    Failed,
    /// Superseded before it started.
    Skipped,
    /// Waits for a person or a tool.
    WaitingForApproval,
    /// Allowed by a person or a tool.
    Approved,
    /// Refused by a person or a tool.
    Denied,
}
