//! `spec.serviceTemplates`: what users change about one of the Services.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;
use shared_types::pgpool::{ServiceAlias, ServiceTemplate};
use shared_types::{names, ports};

use super::ServiceOverrides;

/// Name of the primary port on Services.
const PORT_NAME: &str = "primary";

/// The user's changes to the primary Service.
pub(super) fn primary(templates: &[ServiceTemplate]) -> Result<ServiceOverrides, Blocked> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = templates.iter().find(|it| !seen.insert(it.alias.as_str())) {
        return Err(Blocked::stuck(
            Reason::ConfigurationInvalid,
            format!(
                "`spec.serviceTemplates` has the alias `{}` twice: put all changes to one Service into one entry.",
                twice.alias
            ),
        ));
    }
    Ok(overrides(
        templates,
        ServiceAlias::Primary,
        PORT_NAME,
        ports::PGPOOL,
    ))
}

/// The changes to the Service of one alias, which has one port. Ports are matched by name; others are ignored.
pub(super) fn overrides(
    templates: &[ServiceTemplate],
    alias: ServiceAlias,
    port_name: &str,
    default_port: u16,
) -> ServiceOverrides {
    let template = templates.iter().find(|template| template.alias == alias).cloned();
    let (metadata, requested) = template.map_or_else(Default::default, |it| {
        (it.metadata.unwrap_or_default(), it.spec.unwrap_or_default())
    });
    let port = requested
        .ports
        .iter()
        .find(|port| port.name.as_deref() == Some(port_name));
    // The API server replaces empty values and zeros by defaults.
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let number = |number: Option<i32>| number.filter(|number| *number != 0);
    let list = |list: Vec<String>| (!list.is_empty()).then_some(list);
    ServiceOverrides {
        labels: names::propagated(&metadata.labels).collect(),
        annotations: metadata.annotations.into_iter().collect::<BTreeMap<_, _>>(),
        spec: ServiceSpec {
            type_: text(requested.type_),
            ports: Some(vec![ServicePort {
                name: Some(port_name.to_owned()),
                port: port.map_or(i32::from(default_port), |port| port.port),
                node_port: number(port.and_then(|port| port.node_port)),
                ..ServicePort::default()
            }]),
            cluster_ip: text(requested.cluster_ip),
            external_ips: list(requested.external_ips),
            load_balancer_ip: text(requested.load_balancer_ip),
            load_balancer_source_ranges: list(requested.load_balancer_source_ranges),
            external_traffic_policy: text(requested.external_traffic_policy),
            health_check_node_port: number(requested.health_check_node_port),
            // The API server rejects a timeout without the affinity.
            session_affinity: requested
                .session_affinity_config
                .as_ref()
                .map(|_| "ClientIP".to_owned()),
            session_affinity_config: requested.session_affinity_config,
            ..ServiceSpec::default()
        },
    }
}
