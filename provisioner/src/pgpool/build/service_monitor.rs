//! The `ServiceMonitor`: what a Prometheus of the Prometheus operator scrapes.

use shared_types::pgpool::{Endpoint as Asked, RelabelConfig};
use shared_types::ports;

use super::metadata;
use super::services::{METRICS_PATH, stats_labels};
use crate::pgpool::validate::{Monitoring, Validated};
use crate::prometheus::{Endpoint, Selector, ServiceMonitor, ServiceMonitorSpec};

/// `None` when the agent finds its targets in another way. Owned by the `Pgpool`, not by the stats Service, so that it stays
/// when that is replaced.
pub(super) fn service_monitor(validated: &Validated) -> Option<ServiceMonitor> {
    let monitoring = validated.monitoring.as_ref()?;
    if !monitoring.agent.reads_service_monitors() {
        return None;
    }
    let asked = &monitoring.service_monitor;
    let mut metadata = metadata::owned(validated, &monitoring.stats_service);
    metadata.labels = Some(metadata::labels(validated, &asked.labels));
    Some(ServiceMonitor {
        metadata,
        spec: ServiceMonitorSpec {
            endpoints: vec![endpoint(monitoring)],
            pod_target_labels: asked.pod_target_labels.clone(),
            // Selects one Service, whatever labels its user adds.
            selector: Selector {
                match_labels: stats_labels(&validated.selector),
            },
            target_labels: asked.target_labels.clone(),
        },
    })
}

/// The only port of the stats Service; settings of other ports have no effect.
fn endpoint(monitoring: &Monitoring) -> Endpoint {
    let asked = &monitoring.service_monitor;
    let ours = |endpoint: &&Asked| {
        let port = endpoint.port.as_deref();
        port.is_none_or(|port| port.is_empty() || port == ports::METRICS_NAME)
    };
    let settings = asked.endpoints.iter().find(ours).cloned().unwrap_or_default();
    // People recognize the name of a pod, not its address.
    let pod = RelabelConfig {
        source_labels: vec!["__meta_kubernetes_endpoint_address_target_name".to_owned()],
        target_label: Some("pod".to_owned()),
        ..RelabelConfig::default()
    };
    Endpoint {
        honor_labels: true,
        interval: asked.interval.clone().filter(|interval| !interval.is_empty()),
        metric_relabelings: settings.metric_relabelings,
        path: METRICS_PATH.to_owned(),
        port: ports::METRICS_NAME.to_owned(),
        relabelings: std::iter::once(pod).chain(settings.relabelings).collect(),
        scheme: "http".to_owned(),
    }
}
