//! Changes a user makes to the Services.

use std::fmt;

use k8s_openapi::api::core::v1::SessionAffinityConfig;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::{object::PartialMetadata, schema};

/// Changes to one Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTemplate {
    /// Which Service. A Pgpool has `primary` and `stats`; the others are accepted and ignored.
    pub alias: ServiceAlias,
    /// Labels and annotations of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<PartialMetadata>,
    /// Changes to the spec of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<ServiceSpec>,
}

/// A Service by its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ServiceAlias {
    /// SQL and PCP.
    Primary,
    /// Not used by a Pgpool.
    Standby,
    /// Metrics.
    Stats,
    /// Not used by a Pgpool.
    Dashboard,
    /// Not used by a Pgpool.
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Type of the Service; `ClusterIP` when unset.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Ports, matched by name; only `port` and `nodePort` change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// Address inside the cluster; chosen by Kubernetes when unset.
    #[serde(default, rename = "clusterIP", skip_serializing_if = "Option::is_none")]
    pub cluster_ip: Option<String>,
    /// Addresses outside the cluster that lead to nodes.
    #[serde(default, rename = "externalIPs", skip_serializing_if = "Vec::is_empty")]
    pub external_ips: Vec<String>,
    /// Address that the load balancer should get, where the cloud allows it.
    #[serde(default, rename = "loadBalancerIP", skip_serializing_if = "Option::is_none")]
    pub load_balancer_ip: Option<String>,
    /// Clients that the load balancer admits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load_balancer_source_ranges: Vec<String>,
    /// Whether traffic from outside stays on its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<String>,
    /// Port of the health check of the load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check_node_port: Option<i32>,
    /// Keep a client at one pod, for as many seconds as is said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<SessionAffinityConfig>")]
    pub session_affinity_config: Option<SessionAffinityConfig>,
}

/// Changes to one port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Name of the port: `primary`, `pcp` or `metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Port that clients of the Service use.
    pub port: i32,
    /// Port on every node, for types `NodePort` and `LoadBalancer`; chosen by Kubernetes when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<i32>,
}

/// Changes to the Services, one entry for each.
pub(super) fn list(generator: &mut SchemaGenerator) -> Schema {
    schema::list_map(&generator.subschema_for::<ServiceTemplate>(), "alias")
}
