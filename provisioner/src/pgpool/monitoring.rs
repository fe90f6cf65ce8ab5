//! What is to become of the objects by which Prometheus finds a `Pgpool`. Pure.
//!
//! `ServiceMonitor`s are watched only while somebody may have one, so what tells of a `ServiceMonitor` that is to go is
//! the agent that the stats Service names: that annotation is changed, and that Service removed, after it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::{Resource, ResourceExt};
use shared_types::pgpool::Agent;
use shared_types::{Pgpool, names};

use super::build::{self, Foundation};
use super::observe::{Live, Lookup};
use super::validate::Validated;
use crate::prometheus::ServiceMonitor;

#[cfg(test)]
mod tests;

/// What is to be written and removed beyond the foundation.
#[derive(Clone, Default)]
pub struct Scrape {
    /// To be written.
    pub service_monitor: Option<ServiceMonitor>,
    /// To be removed before anything is written.
    pub old_monitor: Option<Arc<ServiceMonitor>>,
    /// To be removed after that.
    pub old_service: Option<Arc<Service>>,
    /// To be removed when no pod mounts it any more.
    pub old_login: Option<Arc<Secret>>,
}

/// Whether it has to be known which `ServiceMonitor` there is of a `Pgpool`.
#[must_use]
pub fn asks(pgpool: &Pgpool, stats_service: Option<&Service>) -> bool {
    let wanted = pgpool.spec.monitor.as_ref().and_then(|monitor| monitor.agent);
    wanted.is_some_and(Agent::reads_service_monitors) || named(stats_service)
}

/// Whether the stats Service was made for an agent that reads `ServiceMonitor`s.
fn named(stats_service: Option<&Service>) -> bool {
    let agent = stats_service.and_then(|service| service.annotations().get(names::ANNOTATION_AGENT));
    agent
        .and_then(|agent| Agent::from_word(agent))
        .is_some_and(Agent::reads_service_monitors)
}

/// Decides. The stats Service of the foundation is left out while it is not known whether a `ServiceMonitor` has to go
/// first.
#[must_use]
pub fn scrape(validated: &Validated, live: &Live, foundation: &mut Foundation) -> Scrape {
    let wanted = build::service_monitor(validated);
    let leaves = wanted.is_none() && named(live.stats_service.as_deref());
    let unknown = leaves && live.service_monitors == Lookup::Pending;
    let gone = foundation.stats_service.is_none();
    if unknown {
        foundation.stats_service = None;
    }
    let old_monitor = live.service_monitor.as_ref().filter(|_| leaves);
    let old_service = live.stats_service.as_ref().filter(|_| gone && !unknown);
    let old_login = live
        .exporter_secret
        .as_ref()
        .filter(|_| foundation.exporter_secret.is_none());
    Scrape {
        service_monitor: wanted.filter(|_| live.service_monitors == Lookup::Present(())),
        old_monitor: old_monitor.filter(|it| is_ours(it.as_ref(), validated)).cloned(),
        old_service: old_service.filter(|it| is_ours(it.as_ref(), validated)).cloned(),
        old_login: old_login.filter(|it| is_ours(it.as_ref(), validated)).cloned(),
    }
}

/// Objects of these names may be somebody else's.
fn is_ours(object: &impl Resource, validated: &Validated) -> bool {
    let ours = |owner: &_| owner == &validated.owner;
    object.meta().owner_references.iter().flatten().any(ours)
}
