//! What is to become of the objects by which Prometheus finds a `Pgpool`. Pure.
//!
//! `ServiceMonitor`s are watched only while somebody may have one, so what tells of a `ServiceMonitor` that is to go is
//! the agent that the stats Service names: that annotation is changed, and that Service removed, after it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::Resource;

use super::build::{self, Foundation};
use super::observe::{Live, Lookup, names_service_monitor_agent};
use super::validate::Validated;
use crate::prometheus::ServiceMonitor;

#[cfg(test)]
mod tests;

/// What is to be written and removed beyond the foundation.
#[derive(Clone, Default)]
pub(crate) struct Scrape {
    /// To be written.
    pub(crate) service_monitor: Option<ServiceMonitor>,
    /// To be removed before anything is written.
    pub(crate) old_monitor: Option<Arc<ServiceMonitor>>,
    /// To be removed after that.
    pub(crate) old_service: Option<Arc<Service>>,
    /// To be removed when no pod mounts it any more.
    pub(crate) old_login: Option<Arc<Secret>>,
}

/// Decides. The stats Service of the foundation is left out while it is not known whether a `ServiceMonitor` has to go
/// first.
pub(crate) fn scrape(validated: &Validated, live: &Live, foundation: &mut Foundation) -> Scrape {
    let wanted = build::service_monitor(validated);
    let leaves = wanted.is_none() && names_service_monitor_agent(live.stats_service.as_deref());
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
