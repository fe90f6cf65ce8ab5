//! Changes to the pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    object::{LocalReference, PartialMetadata, Unread},
    rules::{optional_name, pods},
    schema,
};

/// Changes to the pods and to the `StatefulSet` that runs them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<PartialMetadata>,
    /// Labels and annotations of the `StatefulSet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<PartialMetadata>,
    /// Changes to the spec of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<PodSpec>,
}

/// Changes to the spec of the pods. Containers with the names `pgpool` and `exporter` are merged with the generated ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = pods::mounts_exist("containers"))]
#[x_kube(validation = pods::mounts_exist("initContainers"))]
pub struct PodSpec {
    /// Accepted for compatibility, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i64>,
    /// Whether to mount a token for the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automount_service_account_token: Option<bool>,
    /// Containers. `pgpool` and `exporter` are merged with the generated ones; others run next to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pods::containers")]
    pub containers: Vec<core::Container>,
    /// DNS servers, search domains and options of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<core::PodDNSConfig>")]
    pub dns_config: Option<core::PodDNSConfig>,
    /// DNS policy of the pods; `ClusterFirst` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<String>,
    /// Whether to add environment variables for Services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_service_links: Option<bool>,
    /// Accepted for compatibility, without effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::free_forms")]
    pub ephemeral_containers: Vec<Unread>,
    /// Entries to add to `/etc/hosts` of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::HostAlias>>")]
    pub host_aliases: Vec<core::HostAlias>,
    /// Whether to use the IPC namespace of the node. Pod Security may forbid it.
    #[serde(default, rename = "hostIPC", skip_serializing_if = "Option::is_none")]
    pub host_ipc: Option<bool>,
    /// Whether to use the network of the node. Pod Security may forbid it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_network: Option<bool>,
    /// Whether to use the process namespace of the node. Pod Security may forbid it.
    #[serde(default, rename = "hostPID", skip_serializing_if = "Option::is_none")]
    pub host_pid: Option<bool>,
    /// Whether to use the user namespace of the node; `true` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_users: Option<bool>,
    /// Host name of the pods; the name of the pod when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Secrets with credentials for image registries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::LocalObjectReference>>")]
    pub image_pull_secrets: Vec<core::LocalObjectReference>,
    /// Containers that run to completion before the others start. Each needs an image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pods::init_containers")]
    pub init_containers: Vec<core::Container>,
    /// Name of the node to run on, without the scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Labels that a node must have to run a pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Operating system of the containers, `linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<core::PodOS>")]
    pub os: Option<core::PodOS>,
    /// Resources that the runtime class needs in addition to the containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::bare::<BTreeMap<String, Quantity>>")]
    pub overhead: BTreeMap<String, Quantity>,
    /// `PlacementPolicy` of KubeDB. Accepted for compatibility, without effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_placement_policy: Option<LocalReference>,
    /// Whether pods may preempt others: `Never` or `PreemptLowerPriority`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemption_policy: Option<String>,
    /// Priority of the pods, which follows from `priorityClassName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Additional conditions that a pod needs to be ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::PodReadinessGate>>")]
    pub readiness_gates: Vec<core::PodReadinessGate>,
    /// Claims of dynamic resources, such as devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::PodResourceClaim>>")]
    pub resource_claims: Vec<core::PodResourceClaim>,
    /// CPU and memory of the pod as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pods::resources")]
    pub resources: Option<core::ResourceRequirements>,
    /// Accepted for compatibility, without effect: it is always `Always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<String>,
    /// Runtime class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// Scheduler of the pods; the default scheduler when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// Gates that block the scheduling of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::PodSchedulingGate>>")]
    pub scheduling_gates: Vec<core::PodSchedulingGate>,
    /// Security context of the pods; restricted when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<core::PodSecurityContext>")]
    pub security_context: Option<core::PodSecurityContext>,
    /// Deprecated alias of `serviceAccountName`, which takes precedence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = optional_name())]
    pub service_account: Option<String>,
    /// Service account of the pods; a generated one when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = optional_name())]
    pub service_account_name: Option<String>,
    /// Whether the host name is the fully qualified domain name.
    #[serde(
        default,
        rename = "setHostnameAsFQDN",
        skip_serializing_if = "Option::is_none"
    )]
    pub set_hostname_as_fqdn: Option<bool>,
    /// Whether containers share a process namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_process_namespace: Option<bool>,
    /// Subdomain of the host names of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdomain: Option<String>,
    /// Seconds that a pod has to finish its sessions before it is killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub termination_grace_period_seconds: Option<i64>,
    /// Tolerations of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::Toleration>>")]
    pub tolerations: Vec<core::Toleration>,
    /// Additional volumes of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pods::volumes")]
    pub volumes: Vec<core::Volume>,
}
