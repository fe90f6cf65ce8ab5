//! Metrics, and who scrapes them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, SecurityContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ports, schema};

/// Metrics, and who scrapes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    /// Who scrapes: decides between annotations for a Prometheus that discovers and a `ServiceMonitor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<Agent>")]
    pub agent: Option<Agent>,
    /// Settings of the exporter and of what Prometheus is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Prometheus>,
}

/// Who scrapes metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Agent {
    /// Prometheus of any kind.
    #[serde(rename = "prometheus.io")]
    Prometheus,
    /// Prometheus that discovers targets by annotations.
    #[serde(rename = "prometheus.io/builtin")]
    Builtin,
    /// Prometheus run by the Prometheus operator.
    #[serde(rename = "prometheus.io/operator")]
    Operator,
}

/// Settings for Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Settings of the exporter, which runs beside pgpool in each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Exporter>,
    /// Settings of the `ServiceMonitor`, for agent `prometheus.io/operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_monitor: Option<ServiceMonitor>,
}

/// The exporter container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exporter {
    /// Port it listens on; 9719 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// More arguments of the exporter, after those that are generated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// More environment variables of the exporter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::bare::<Vec<EnvVar>>")]
    pub env: Vec<EnvVar>,
    /// CPU and memory of the exporter container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<ResourceRequirements>")]
    pub resources: Option<ResourceRequirements>,
    /// Security context of the exporter container; what is left out is restricted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::bare::<SecurityContext>")]
    pub security_context: Option<SecurityContext>,
}

/// The `ServiceMonitor` of the Prometheus operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitor {
    /// Labels by which a Prometheus selects it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Time between two scrapes, such as `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Labels of the Service copied to the metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_labels: Vec<String>,
    /// Labels of the pods copied to the metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_target_labels: Vec<String>,
    /// Settings of single ports of the stats Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
}

/// Settings for one scraped port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the port of the stats Service, `metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Changes to the labels of the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relabelings: Vec<RelabelConfig>,
    /// Changes to the labels of the samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metric_relabelings: Vec<RelabelConfig>,
}

/// One change to labels, as Prometheus knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelabelConfig {
    /// Labels whose values are joined and then matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_labels: Vec<String>,
    /// What is put between the values of the source labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// Label that the result is written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
    /// Regular expression that the joined values must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// Modulus of the hash, for action `hashmod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modulus: Option<i64>,
    /// The new value; may refer to groups of `regex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// What is done, such as `replace` or `drop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

impl Agent {
    /// Whether it finds its targets by `ServiceMonitor`s.
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

    /// The agent of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Prometheus, Self::Builtin, Self::Operator];
        all.into_iter().find(|agent| agent.as_str() == word)
    }
}

impl Monitor {
    /// Port of the exporter; a zero counts as unset.
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
