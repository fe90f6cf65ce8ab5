//! Metrics, and the Prometheus that scrapes them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, SecurityContext};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ports,
    rules::{pods, rule},
    schema,
};

/// Metrics exporter, and the Prometheus that scrapes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "has(self.agent)",
    "spec.monitor needs an agent: set spec.monitor.agent to prometheus.io, prometheus.io/builtin or prometheus.io/operator",
))]
pub struct Monitor {
    /// The Prometheus that scrapes: decides between annotations for service discovery and a `ServiceMonitor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<Agent>")]
    pub agent: Option<Agent>,
    /// Settings of the exporter and of the `ServiceMonitor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
}

/// The Prometheus that scrapes metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Agent {
    /// Any Prometheus.
    #[serde(rename = "prometheus.io")]
    Prometheus,
    /// A Prometheus that discovers targets by annotations.
    #[serde(rename = "prometheus.io/builtin")]
    Builtin,
    /// A Prometheus managed by the Prometheus operator.
    #[serde(rename = "prometheus.io/operator")]
    Operator,
}

/// Settings of the exporter and of the `ServiceMonitor`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Settings of the exporter, which runs next to pgpool in each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Exporter>,
    /// Settings of the `ServiceMonitor`, for agent `prometheus.io/operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_monitor: Option<ServiceMonitor>,
}

/// Settings of the exporter container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exporter {
    /// Port of the exporter; 9719 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // KubeDB writes zero for "unset".
    #[schemars(range(min = 0, max = 65535))]
    #[x_kube(validation = rule(
        "!(self in [9999, 9595])",
        "must not be a port of pgpool (9999, 9595): choose another port, or leave it out for 9719",
    ))]
    pub port: Option<i32>,
    /// Additional arguments of the exporter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[schemars(inner(length(max = 1024)))]
    #[x_kube(validation = pods::exporter_args())]
    pub args: Vec<String>,
    /// Additional environment variables of the exporter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "pods::env")]
    #[x_kube(validation = pods::exporter_env())]
    pub env: Vec<EnvVar>,
    /// CPU and memory of the exporter container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "pods::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Security context of the exporter container; restricted when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<SecurityContext>")]
    pub security_context: Option<SecurityContext>,
}

/// Settings of the `ServiceMonitor` of the Prometheus operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitor {
    /// Labels of the `ServiceMonitor`, by which a Prometheus selects it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Interval between scrapes, such as `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rule(
        "self == '' || self.matches(r'^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$')",
        "must be a Prometheus duration, such as 30s or 1m30s",
    ))]
    pub interval: Option<String>,
    /// Labels of the Service to copy to the metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_labels: Vec<String>,
    /// Labels of the pods to copy to the metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_target_labels: Vec<String>,
    /// Settings of single ports of the stats Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
}

/// Settings of one scraped port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the port of the stats Service: `metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Relabeling of the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relabelings: Vec<RelabelConfig>,
    /// Relabeling of the samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metric_relabelings: Vec<RelabelConfig>,
}

/// A relabeling rule of Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelabelConfig {
    /// Labels whose values are joined and matched against `regex`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// Separator between the values of the source labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// Label to write the result to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    /// Regular expression that the joined values must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Modulus of the hash, for action `hashmod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modulus: Option<i64>,
    /// New value; may refer to groups of `regex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// Action, such as `replace` or `drop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

impl Agent {
    /// Whether it uses `ServiceMonitor`s.
    #[must_use]
    pub fn reads_service_monitors(self) -> bool {
        !matches!(self, Self::Builtin)
    }

    /// As written in a spec, and in the annotation of the stats Service.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus.io",
            Self::Builtin => "prometheus.io/builtin",
            Self::Operator => "prometheus.io/operator",
        }
    }

    /// Parses a value of `spec.monitor.agent`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Prometheus, Self::Builtin, Self::Operator];
        all.into_iter().find(|agent| agent.as_str() == word)
    }
}

impl Monitor {
    /// Port of the exporter. Zero counts as unset.
    #[must_use]
    pub fn port(&self) -> i32 {
        let exporter = self
            .prometheus
            .as_ref()
            .and_then(|prometheus| prometheus.exporter.as_ref());
        exporter
            .and_then(|exporter| exporter.port)
            .filter(|port| *port != 0)
            .unwrap_or(ports::METRICS.into())
    }
}
