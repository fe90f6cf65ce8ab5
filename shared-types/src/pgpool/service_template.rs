//! Changes to the Services. What Kubernetes would reject in a Service is rejected here.

use std::fmt;

use k8s_openapi::api::core::v1::SessionAffinityConfig;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::{
    object::PartialMetadata,
    rules::{add, limit, rule},
    schema,
};

/// Changes to one Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTemplate {
    /// The Service. A Pgpool has `primary` and `stats`; the others are accepted without effect.
    pub alias: ServiceAlias,
    /// Labels and annotations of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<PartialMetadata>,
    /// Changes to the spec of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<ServiceSpec>,
}

/// A Service of a Pgpool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceAlias {
    /// SQL and PCP.
    Primary,
    /// Without effect.
    Standby,
    /// Metrics.
    Stats,
    /// Without effect.
    Dashboard,
    /// Without effect.
    Secondary,
}

impl ServiceAlias {
    /// As written in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Stats => "stats",
            Self::Dashboard => "dashboard",
            Self::Secondary => "secondary",
        }
    }

    /// Whether a Pgpool has such a Service.
    #[must_use]
    pub fn is_known(self) -> bool {
        matches!(self, Self::Primary | Self::Stats)
    }
}

impl fmt::Display for ServiceAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Changes to the spec of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "!has(self.ports) || (has(self.type) && self.type in ['NodePort', 'LoadBalancer']) || self.ports.all(p, \
     !has(p.nodePort))",
    "must not have a nodePort in a Service of type ClusterIP: set type to NodePort or LoadBalancer, or remove nodePort",
).field_path(".ports"))]
#[x_kube(validation = rule(
    "!has(self.externalTrafficPolicy) || self.externalTrafficPolicy == '' || (has(self.type) && self.type \
     in ['NodePort', 'LoadBalancer']) || has(self.externalIPs)",
    "needs external traffic: set type to NodePort or LoadBalancer, or remove it",
).field_path(".externalTrafficPolicy"))]
#[x_kube(validation = rule(
    "!has(self.loadBalancerSourceRanges) || (has(self.type) && self.type == 'LoadBalancer')",
    "needs a load balancer: set type to LoadBalancer, or remove it",
).field_path(".loadBalancerSourceRanges"))]
#[x_kube(validation = rule(
    "!has(self.healthCheckNodePort) || ((has(self.type) && self.type == 'LoadBalancer') && has(self.externalTrafficPolicy) && \
     self.externalTrafficPolicy == 'Local')",
    "needs a load balancer with local traffic: set type to LoadBalancer and externalTrafficPolicy to Local, or remove it",
).field_path(".healthCheckNodePort"))]
pub struct ServiceSpec {
    /// Type of the Service; `ClusterIP` when unset.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "service_type")]
    pub type_: Option<String>,
    /// Ports, matched by name. Only `port` and `nodePort` can be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "ports")]
    pub ports: Vec<ServicePort>,
    /// IP address in the cluster; assigned by Kubernetes when unset.
    #[serde(default, rename = "clusterIP", skip_serializing_if = "Option::is_none")]
    pub cluster_ip: Option<String>,
    /// External IP addresses that route to nodes.
    #[serde(default, rename = "externalIPs", skip_serializing_if = "Vec::is_empty")]
    pub external_ips: Vec<String>,
    /// IP address that the load balancer should get, if the cloud supports it.
    #[serde(default, rename = "loadBalancerIP", skip_serializing_if = "Option::is_none")]
    pub load_balancer_ip: Option<String>,
    /// IP ranges that the load balancer accepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_source_ranges: Vec<String>,
    /// Whether external traffic stays on the node that receives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "traffic_policy")]
    pub external_traffic_policy: Option<String>,
    /// Port of the health check of the load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub health_check_node_port: Option<i32>,
    /// Routes each client to the same pod, for the given number of seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<SessionAffinityConfig>")]
    pub session_affinity_config: Option<SessionAffinityConfig>,
}

/// Changes to one port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "has(self.name) && self.name != ''",
    "needs a name to be matched by: set name to primary or pcp, or to metrics for alias stats",
))]
pub struct ServicePort {
    /// Name of the port: `primary`, `pcp` or `metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub name: Option<String>,
    /// Port of the Service.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Port on every node, with types `NodePort` and `LoadBalancer`; assigned by Kubernetes when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,
}

/// Changes to the Services, one entry per alias.
pub(super) fn list(generator: &mut SchemaGenerator) -> Schema {
    let mut list = schema::list_map(&generator.subschema_for::<ServiceTemplate>(), "alias");
    limit(&mut list, "", "maxItems", 16);
    list
}

fn service_type(_: &mut SchemaGenerator) -> Schema {
    schema::one_of(&["ClusterIP", "NodePort", "LoadBalancer"])
}

fn traffic_policy(_: &mut SchemaGenerator) -> Schema {
    schema::one_of(&["Cluster", "Local"])
}

fn ports(generator: &mut SchemaGenerator) -> Schema {
    let mut list = generator.subschema_for::<Vec<ServicePort>>();
    limit(&mut list, "", "maxItems", 16);
    let rules = [
        rule(
            "self.all(a, self.exists_one(b, (has(a.name) ? a.name : '') == (has(b.name) ? b.name : '')))",
            "must not have the same name twice: use one entry per port",
        ),
        rule(
            "self.all(a, self.exists_one(b, a.port == b.port))",
            "must not have the same port number twice: use different ports",
        ),
    ];
    for rule in rules {
        add(&mut list, "", &rule);
    }
    list
}
