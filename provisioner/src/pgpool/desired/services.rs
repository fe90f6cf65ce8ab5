//! The Services: one for clients, one that names each pod.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use shared_types::ports;

use super::metadata;
use crate::pgpool::validate::Validated;

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

/// Names the pods, those that are ready, as is the default: whoever dials one means to be served.
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

fn to_pool(port: &mut ServicePort) {
    port.protocol = Some("TCP".to_owned());
    port.target_port = Some(IntOrString::String(ports::PGPOOL_NAME.to_owned()));
}
