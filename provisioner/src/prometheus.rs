//! The `ServiceMonitor` of the Prometheus operator, with only the fields that this operator writes. No code of the Prometheus
//! operator is linked.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use shared_types::pgpool::RelabelConfig;

/// Which Services Prometheus scrapes, and at which ports.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "ServiceMonitor",
    namespaced,
    schema = "disabled",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ServiceMonitorSpec {
    pub(crate) endpoints: Vec<Endpoint>,
    /// Labels of the pods copied to the samples.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pod_target_labels: Vec<String>,
    pub(crate) selector: Selector,
    /// Labels of the Service copied to the samples.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) target_labels: Vec<String>,
}

/// Selects by labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Selector {
    pub(crate) match_labels: BTreeMap<String, String>,
}

/// How one port is scraped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Endpoint {
    /// Labels of the samples win over labels of the target.
    pub(crate) honor_labels: bool,
    /// Time between two scrapes; that of the Prometheus when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<String>,
    /// Changes to the labels of the samples.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) metric_relabelings: Vec<RelabelConfig>,
    /// Where the metrics are.
    pub(crate) path: String,
    /// Name of the Service port.
    pub(crate) port: String,
    /// Changes to the labels of the target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) relabelings: Vec<RelabelConfig>,
    pub(crate) scheme: String,
}
