//! `spec.serviceTemplates[]`: what the user wants other than generated.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use shared_types::pgpool::{ServiceAlias, ServiceTemplate};
use shared_types::{names, ports};

use super::ServiceOverrides;

/// Name of the primary port on Services.
const PORT_NAME: &str = "primary";

/// The wishes for the primary Service. Ports are matched by name; names that the Service does not have are ignored.
pub(super) fn primary(templates: &[ServiceTemplate]) -> ServiceOverrides {
    let template = templates
        .iter()
        .find(|template| template.alias == ServiceAlias::Primary);
    let metadata = template
        .and_then(|template| template.metadata.clone())
        .unwrap_or_default();
    let asked = template
        .and_then(|template| template.spec.clone())
        .unwrap_or_default();
    let port = asked
        .ports
        .iter()
        .find(|port| port.name.as_deref() == Some(PORT_NAME));
    let given = |list: Vec<String>| (!list.is_empty()).then_some(list);
    ServiceOverrides {
        labels: names::propagated(&metadata.labels).collect(),
        annotations: metadata.annotations.into_iter().collect::<BTreeMap<_, _>>(),
        spec: ServiceSpec {
            type_: asked.type_,
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.to_owned()),
                port: port.map_or(i32::from(ports::PGPOOL), |port| port.port),
                node_port: port.and_then(|port| port.node_port),
                ..ServicePort::default()
            }]),
            cluster_ip: asked.cluster_ip,
            external_ips: given(asked.external_ips),
            load_balancer_ip: asked.load_balancer_ip,
            load_balancer_source_ranges: given(asked.load_balancer_source_ranges),
            external_traffic_policy: asked.external_traffic_policy,
            health_check_node_port: asked.health_check_node_port,
            // A timeout of an affinity that is off would be refused.
            session_affinity: asked
                .session_affinity_config
                .as_ref()
                .map(|_| "ClientIP".to_owned()),
            session_affinity_config: asked.session_affinity_config,
            ..ServiceSpec::default()
        },
    }
}
