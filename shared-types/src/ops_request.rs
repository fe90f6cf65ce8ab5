//! `PgpoolOpsRequest`: one operation on a Pgpool, carried out once.

mod status;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::core::Rule as CelRule;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::{
    conditions::OpsCondition,
    limits,
    object::{GoDuration, LocalReference, TypedReference},
    pgpool::{Backend, CertificateNames, CertificateSpec, ClientAuthMode, IssuerRef, SslMode},
    pgpool::{backends, only_pgpool_conf},
    rules::{is_object_name, pods, rule},
    schema,
};

pub use status::{OpsPhase, PgpoolOpsRequestStatus, ReplacedCertificate};

/// One operation on a Pgpool.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
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
#[x_kube(validation = rule(
    "self == oldSelf",
    "spec of a PgpoolOpsRequest is immutable: create another request",
))]
#[x_kube(validation = required_for("UpdateVersion", "updateVersion"))]
#[x_kube(validation = required_for("HorizontalScaling", "horizontalScaling"))]
#[x_kube(validation = required_for("VerticalScaling", "verticalScaling"))]
#[x_kube(validation = required_for("Reconfigure", "configuration"))]
#[x_kube(validation = required_for("ReconfigureTLS", "tls"))]
#[x_kube(validation = allowed_for("RotateAuth", "authentication"))]
#[x_kube(validation = allowed_for("Restart", "restart"))]
pub struct PgpoolOpsRequestSpec {
    /// The Pgpool, in the namespace of the request.
    #[x_kube(validation = rule(
        "has(self.name) && self.name != ''",
        "spec.databaseRef names no Pgpool: set spec.databaseRef.name",
    ))]
    pub database_ref: LocalReference,
    /// The operation. Decides which of the other fields must be set.
    #[serde(rename = "type")]
    #[schemars(schema_with = "schema::word::<OpsType>")]
    pub type_: OpsType,
    /// How long each step may take, such as `5m`, including the wait for a Pgpool that is `Ready`; `1h` when unset, and at
    /// most `168h`. A request that takes longer fails. Its changes remain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Seconds after which the request is deleted when it has finished. When unset, the last 100 finished requests of a
    /// Pgpool are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ttl_seconds_after_finished: Option<i32>,
    /// Whether to run if the Pgpool is not `Ready`; `IfReady` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<ApplyOption>")]
    pub apply: Option<ApplyOption>,
    /// Accepted for compatibility, without effect: failed requests to the API server are retried until `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_retries: Option<i32>,
    /// Parameters of `UpdateVersion`: the version to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_version: Option<UpdateVersion>,
    /// Parameters of `HorizontalScaling`: the number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizontal_scaling: Option<HorizontalScaling>,
    /// Parameters of `VerticalScaling`: resources or nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertical_scaling: Option<VerticalScaling>,
    /// Parameters of `Reconfigure`: settings or backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Reconfigure>,
    /// Parameters of `ReconfigureTLS`: add, change, rotate or remove certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ReconfigureTls>,
    /// Parameters of `RotateAuth`: the new credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<RotateAuth>,
    /// Parameters of `Restart`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

impl PgpoolOpsRequestSpec {
    /// How long each step may take. A duration that cannot be read counts as unset.
    #[must_use]
    pub fn step_timeout(&self) -> Duration {
        let requested = self.timeout.as_ref().and_then(GoDuration::length);
        requested
            .unwrap_or(limits::DEFAULT_TIMEOUT)
            .min(limits::LONGEST_TIMEOUT)
    }
}

/// An operation.
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

impl OpsType {
    /// The condition that says that a request of this type has started.
    #[must_use]
    pub fn condition(self) -> OpsCondition {
        match self {
            Self::UpdateVersion => OpsCondition::UpdateVersion,
            Self::Restart => OpsCondition::Restart,
            Self::Reconfigure => OpsCondition::Reconfigure,
            Self::VerticalScaling => OpsCondition::VerticalScaling,
            Self::HorizontalScaling => OpsCondition::HorizontalScaling,
            Self::ReconfigureTls => OpsCondition::ReconfigureTLS,
            Self::RotateAuth => OpsCondition::RotateAuth,
        }
    }
}

/// When to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ApplyOption {
    /// Only on a Pgpool that is `Ready`.
    #[default]
    IfReady,
    /// In any phase.
    Always,
}

/// Parameters of `UpdateVersion`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "has(self.targetVersion) && self.targetVersion != ''",
    "spec.updateVersion names no version: set spec.updateVersion.targetVersion to a PgpoolVersion",
))]
pub struct UpdateVersion {
    /// Name of the `PgpoolVersion` to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_version: Option<String>,
}

/// Parameters of `HorizontalScaling`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "has(self.node)",
    "spec.horizontalScaling needs the number of pods: set spec.horizontalScaling.node to 1 to 9",
))]
pub struct HorizontalScaling {
    /// New number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub node: Option<i32>,
}

/// Parameters of `VerticalScaling`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "has(self.node) && (has(self.node.resources) || has(self.node.topology))",
    "spec.verticalScaling changes nothing: set spec.verticalScaling.node.resources, or spec.verticalScaling.node.topology",
))]
pub struct VerticalScaling {
    /// New resources of container `pgpool`, or new nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeResources>,
    /// Whether pods are restarted; `Restart` when unset.
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
    /// Running pods are resized one by one. A pod that cannot be resized is replaced: if its node is too small, if a limit
    /// is removed, or if Kubernetes is older than 1.33.
    InPlace,
}

/// New resources, or new nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "!has(self.nodeSelectionPolicy) || self.nodeSelectionPolicy in ['', 'None'] || (has(self.topology) && \
     has(self.topology.key) && self.topology.key != '')",
    "needs a label or taint that selects nodes: set topology.key and topology.value",
).field_path(".nodeSelectionPolicy"))]
pub struct NodeResources {
    /// New CPU and memory of container `pgpool`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pods::resources")]
    pub resources: Option<ResourceRequirements>,
    /// How `topology` selects nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "selection_policy")]
    pub node_selection_policy: Option<String>,
    /// Label or taint that selects nodes.
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

/// Parameters of `Reconfigure`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "(has(self.removeCustomConfig) && self.removeCustomConfig) || has(self.configSecret) || (has(self.applyConfig) && \
     size(self.applyConfig) > 0) || has(self.backend)",
    "spec.configuration changes nothing: set removeCustomConfig, configSecret, applyConfig or backend",
))]
#[x_kube(validation = rule(
    "!has(self.removeCustomConfig) || !self.removeCustomConfig || !has(self.backend) || !has(self.backend.delete)",
    "has nothing to remove after removeCustomConfig: remove one of the two",
).field_path(".backend.delete"))]
pub struct Reconfigure {
    /// Secret with key `pgpool.conf`, instead of the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rule(
        "has(self.name) && self.name != ''",
        "spec.configuration.configSecret names no Secret: set spec.configuration.configSecret.name",
    ))]
    pub config_secret: Option<LocalReference>,
    /// Settings to merge into the current ones, by file name (`pgpool.conf`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    #[x_kube(validation = only_pgpool_conf())]
    pub apply_config: BTreeMap<String, String>,
    /// Whether to remove all custom settings first: Secret, inline settings and backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove_custom_config: Option<bool>,
    /// Whether pods are restarted; `auto` when unset. `false` has the same effect as `auto`: pods are restarted one by one
    /// only if a setting requires it.
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
    /// If a setting requires it.
    #[default]
    Auto,
    /// Always.
    True,
    /// Same as `auto`.
    False,
}

/// Changes to the backends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "has(self.sync) || has(self.delete)",
    "spec.configuration.backend changes nothing: list backends in sync or in delete",
))]
pub struct ReconfigureBackend {
    /// Backends to add, or to replace by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "backends")]
    pub sync: Vec<Backend>,
    /// Backends to remove, by group or host name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "backends")]
    pub delete: Vec<Backend>,
}

/// Parameters of `ReconfigureTLS`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "(has(self.remove) && self.remove) || (has(self.rotateCertificates) && self.rotateCertificates) || has(self.issuerRef) \
     || has(self.names) || has(self.certificates) || has(self.sslMode) || has(self.clientAuthMode)",
    "spec.tls changes nothing: set issuerRef, names, certificates, sslMode, clientAuthMode, rotateCertificates or remove",
))]
#[x_kube(validation = rule(
    "!(has(self.remove) && self.remove) || !((has(self.rotateCertificates) && self.rotateCertificates) || \
     has(self.issuerRef) || has(self.names) || has(self.certificates) || (has(self.sslMode) && self.sslMode != 'disable') || \
     (has(self.clientAuthMode) && self.clientAuthMode == 'cert'))",
    "contradicts other fields: leave out rotateCertificates, issuerRef, names, certificates, a sslMode other than disable and \
     clientAuthMode cert, or leave out remove",
).field_path(".remove"))]
#[x_kube(validation = rule(
    "!has(self.sslMode) || !has(self.clientAuthMode) || self.sslMode != 'disable' || self.clientAuthMode != 'cert'",
    "spec.tls.clientAuthMode cert needs TLS: set a spec.tls.sslMode other than disable, or set spec.tls.clientAuthMode to \
     md5 or scram",
).field_path(".clientAuthMode"))]
pub struct ReconfigureTls {
    /// Issuer of every certificate that does not name its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// New `spec.tls.names` of the Pgpool: which names certificates are requested for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<CertificateNames>")]
    pub names: Option<CertificateNames>,
    /// Settings of single certificates, which replace the current ones of the same alias.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::pgpool::tls::certificates")]
    pub certificates: Vec<CertificateSpec>,
    /// Whether to issue all certificates again, with new keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_certificates: Option<bool>,
    /// Whether to remove certificates and disable TLS. Clients that require TLS can no longer connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<bool>,
    /// New `spec.sslMode` of the Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<SslMode>")]
    pub ssl_mode: Option<SslMode>,
    /// New `spec.clientAuthMode` of the Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<ClientAuthMode>")]
    pub client_auth_mode: Option<ClientAuthMode>,
}

/// Parameters of `RotateAuth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotateAuth {
    /// Secret with the new credentials; generated when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rule(
        "(!has(self.kind) || self.kind.lowerAscii() in ['', 'secret']) && (!has(self.apiGroup) || self.apiGroup == '')",
        "spec.authentication.secretRef must be a Secret: remove apiGroup and kind",
    ))]
    #[x_kube(validation = rule(
        is_object_name("self.name"),
        "spec.authentication.secretRef names no Secret: set spec.authentication.secretRef.name",
    ).field_path(".name"))]
    pub secret_ref: Option<TypedReference>,
}

/// Parameters of `Restart`: none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Restart {}

/// The parameters of an operation: set with its type, and only then.
fn required_for(type_: &str, field: &str) -> CelRule {
    rule(
        format!("has(self.{field}) == (self.type == '{type_}')"),
        format!("spec.{field} goes with spec.type {type_}: set both or neither"),
    )
}

/// The optional parameters of an operation: only with its type.
fn allowed_for(type_: &str, field: &str) -> CelRule {
    rule(
        format!("!has(self.{field}) || self.type == '{type_}'"),
        format!("spec.{field} goes with spec.type {type_}: remove it, or correct spec.type"),
    )
}

fn selection_policy(_: &mut SchemaGenerator) -> Schema {
    schema::one_of(&["LabelSelector", "Taint", "None"])
}
