//! Changes a user makes to the pods.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    object::{LocalReference, PartialMetadata},
    schema,
};

/// Changes to the pods and to the workload that runs them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels and annotations of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<PartialMetadata>,
    /// Labels and annotations of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<PartialMetadata>,
    /// Changes to the spec of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<PodSpec>,
}

/// A pod, as far as the user wants it other than generated. Containers named `pgpool` and
/// `exporter` are merged with the generated ones; others run beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// Seconds after which the pod is ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i64>,
    /// Whether pods get a token for the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automount_service_account_token: Option<bool>,
    /// Containers: `pgpool` and `exporter` are merged with the generated ones, others run beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::named::<core::Container>")]
    pub containers: Vec<core::Container>,
    /// DNS servers, search domains and options of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<core::PodDNSConfig>")]
    pub dns_config: Option<core::PodDNSConfig>,
    /// How pods resolve names; `ClusterFirst` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<String>,
    /// Whether Services are told by environment variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_service_links: Option<bool>,
    /// Ephemeral containers; accepted for compatibility and ignored, since a workload has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::free_forms")]
    pub ephemeral_containers: Vec<serde_json::Value>,
    /// Lines that are added to `/etc/hosts` of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::HostAlias>>")]
    pub host_aliases: Vec<core::HostAlias>,
    /// Share the IPC namespace of the node. Not allowed where Pod Security is enforced.
    #[serde(default, rename = "hostIPC", skip_serializing_if = "Option::is_none")]
    pub host_ipc: Option<bool>,
    /// Share the network of the node. Not allowed where Pod Security is enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_network: Option<bool>,
    /// Share the process namespace of the node. Not allowed where Pod Security is enforced.
    #[serde(default, rename = "hostPID", skip_serializing_if = "Option::is_none")]
    pub host_pid: Option<bool>,
    /// Share the user namespace of the node; `true` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_users: Option<bool>,
    /// Host name of the pods; their own name when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Secrets with credentials for image registries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::LocalObjectReference>>")]
    pub image_pull_secrets: Vec<core::LocalObjectReference>,
    /// Containers that run to their end before the others start, each with an image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::named::<core::Container>")]
    pub init_containers: Vec<core::Container>,
    /// The one node to run on, past the scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Labels that a node must have to run a pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Operating system of the containers, `linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<core::PodOS>")]
    pub os: Option<core::PodOS>,
    /// Resources that the runtime class takes beside the containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::bare::<BTreeMap<String, Quantity>>")]
    pub overhead: BTreeMap<String, Quantity>,
    /// The cluster-wide `PlacementPolicy` of KubeDB; accepted for compatibility.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_placement_policy: Option<LocalReference>,
    /// Whether pods may displace others: `Never` or `PreemptLowerPriority`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemption_policy: Option<String>,
    /// Priority of the pods; follows from `priorityClassName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Priority class, which decides who stays when a node is full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Conditions the pod must have to be ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::PodReadinessGate>>")]
    pub readiness_gates: Vec<core::PodReadinessGate>,
    /// Claims of dynamic resources, such as devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::PodResourceClaim>>")]
    pub resource_claims: Vec<core::PodResourceClaim>,
    /// CPU and memory of the pod as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<core::ResourceRequirements>")]
    pub resources: Option<core::ResourceRequirements>,
    /// Restart policy; accepted for compatibility, a workload knows only `Always`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<String>,
    /// Runtime class, such as a sandbox that nodes offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_class_name: Option<String>,
    /// Scheduler that places the pods; that of the cluster when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// Gates that hold pods back from being scheduled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::PodSchedulingGate>>")]
    pub scheduling_gates: Vec<core::PodSchedulingGate>,
    /// Security context of the pods; what is left out is restricted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<core::PodSecurityContext>")]
    pub security_context: Option<core::PodSecurityContext>,
    /// Service account, by its old name; `serviceAccountName` wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Service account; one is generated when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Whether the host name is the full name.
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
    pub termination_grace_period_seconds: Option<i64>,
    /// Taints of nodes that are tolerated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<core::Toleration>>")]
    pub tolerations: Vec<core::Toleration>,
    /// Volumes that containers of yours, or `pgpool`, mount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::named::<core::Volume>")]
    pub volumes: Vec<core::Volume>,
}
