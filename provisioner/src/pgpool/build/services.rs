//! The Services: one for clients, one that names each pod, and one for metrics.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use shared_types::pgpool::Agent;
use shared_types::{names, ports};

use super::metadata;
use crate::pgpool::validate::{Monitoring, Validated};

/// The path of the metrics.
pub(super) const METRICS_PATH: &str = "/metrics";

/// Where clients connect. PCP has no TLS and is not exposed.
pub(super) fn primary(validated: &Validated) -> Service {
    let asked = &validated.primary_service;
    let mut spec = asked.spec.clone();
    for port in spec.ports.iter_mut().flatten() {
        to_pool(port);
    }
    spec.selector = Some(validated.selector.clone());
    let mut metadata = metadata::owned(validated, &validated.names.primary_service);
    metadata.labels = Some(metadata::labels(validated, &asked.labels));
    metadata.annotations = metadata::annotations(&asked.annotations);
    Service {
        metadata,
        spec: Some(spec),
        status: None,
    }
}

/// Names the pods. Only ready ones, which is the default: a client that connects to a pod by name expects it to serve.
pub(super) fn governing(validated: &Validated) -> Service {
    let mut port = ServicePort {
        name: Some("primary".to_owned()),
        port: i32::from(ports::PGPOOL),
        ..ServicePort::default()
    };
    to_pool(&mut port);
    Service {
        metadata: metadata::owned(validated, &validated.names.governing_service),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            ports: Some(vec![port]),
            selector: Some(validated.selector.clone()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// Exposes the metrics of each pod; `None` without monitoring. Lists pods that are not ready too: their metrics matter most.
pub(super) fn stats(validated: &Validated) -> Option<Service> {
    let monitoring = validated.monitoring.as_ref()?;
    let asked = &monitoring.service;
    let mut spec = asked.spec.clone();
    for port in spec.ports.iter_mut().flatten() {
        port.protocol = Some("TCP".to_owned());
        port.target_port = Some(IntOrString::String(ports::METRICS_NAME.to_owned()));
    }
    spec.publish_not_ready_addresses = Some(true);
    spec.selector = Some(validated.selector.clone());
    let mut metadata = metadata::owned(validated, &monitoring.stats_service);
    let mut labels = metadata::labels(validated, &asked.labels);
    labels.extend(stats_labels(&validated.selector));
    metadata.labels = Some(labels);
    let mut annotations = asked.annotations.clone();
    annotations.extend(discovery(monitoring));
    metadata.annotations = Some(annotations);
    Some(Service {
        metadata,
        spec: Some(spec),
        status: None,
    })
}

/// The labels that distinguish the stats Service from the others.
pub(super) fn stats_labels(selector: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut labels = selector.clone();
    labels.insert(names::LABEL_ROLE.to_owned(), names::ROLE_STATS.to_owned());
    labels
}

/// Annotations with the agent, and what a Prometheus that is configured by annotations scrapes. It connects to pods, so the
/// port is that of the pods.
fn discovery(monitoring: &Monitoring) -> BTreeMap<String, String> {
    let mut discovery = vec![(names::ANNOTATION_AGENT, monitoring.agent.as_str().to_owned())];
    if monitoring.agent == Agent::Builtin {
        discovery.extend([
            ("prometheus.io/scrape", "true".to_owned()),
            ("prometheus.io/scheme", "http".to_owned()),
            ("prometheus.io/path", METRICS_PATH.to_owned()),
            ("prometheus.io/port", monitoring.port.to_string()),
        ]);
    }
    discovery
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn to_pool(port: &mut ServicePort) {
    port.protocol = Some("TCP".to_owned());
    port.target_port = Some(IntOrString::String(ports::PGPOOL_NAME.to_owned()));
}
