//! The one kind of the Prometheus operator that is written, as thin as it is written: the fields of `spec.monitor`, and
//! what they need around them. No code of the Prometheus operator is linked.

use std::collections::BTreeMap;

use kube::CustomResource;
use serde::{Deserialize, Serialize};
use shared_types::pgpool::RelabelConfig;

/// What a Prometheus scrapes: the Services of these labels, at these ports.
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
    /// One for each port.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Labels of the pods copied to the samples.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pod_target_labels: Vec<String>,
    /// Which Services.
    pub(crate) selector: Selector,
    /// Labels of the Service copied to the samples.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) target_labels: Vec<String>,
}

/// Selects by labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Selector {
    /// All of which have to be there.
    pub(crate) match_labels: BTreeMap<String, String>,
}

/// How one port is scraped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Endpoint {
    /// A label that the samples bear already stays as it is.
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
    /// `http`
    pub(crate) scheme: String,
}
