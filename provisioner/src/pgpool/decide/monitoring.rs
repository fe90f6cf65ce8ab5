//! Decides what becomes of the objects by which Prometheus finds a `Pgpool`. Pure.
//!
//! `ServiceMonitor`s are watched only while a Pgpool may have one, so what tells of a `ServiceMonitor` that has to be
//! deleted is the agent that the stats Service names: that annotation is changed, and that Service deleted, after it.

use std::borrow::Borrow;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::Resource;

use crate::pgpool::observe::{Live, Lookup, names_service_monitor_agent};
use crate::pgpool::validate::Validated;
use crate::prometheus::ServiceMonitor;

#[cfg(test)]
mod tests;

/// What is written and deleted for Prometheus.
#[derive(Clone, Default)]
pub(crate) struct Monitoring<'a> {
    /// Whether the stats Service is written, where metrics are asked for: not while it is unknown whether a
    /// `ServiceMonitor` has to be deleted first.
    pub(crate) stats_service: bool,
    /// Whether a `ServiceMonitor` is written.
    pub(crate) service_monitor: bool,
    /// Deleted before anything is written.
    pub(crate) old_monitor: Option<&'a ServiceMonitor>,
    /// Deleted after that.
    pub(crate) old_service: Option<&'a Service>,
    /// Deleted when no pod mounts it any more.
    pub(crate) old_login: Option<&'a Secret>,
}

/// Decides.
pub(super) fn monitoring<'a>(validated: &Validated, live: &'a Live) -> Monitoring<'a> {
    let monitored = validated.monitoring.as_ref();
    let needs_monitor = monitored.is_some_and(|it| it.agent.reads_service_monitors());
    let had_monitor = names_service_monitor_agent(live.stats_service.as_deref());
    let drops_monitor = had_monitor && !needs_monitor;
    let is_unknown = drops_monitor && live.service_monitors == Lookup::Pending;
    let mut decided = Monitoring {
        stats_service: !is_unknown,
        service_monitor: needs_monitor && live.service_monitors == Lookup::Present(()),
        ..Monitoring::default()
    };
    if drops_monitor {
        decided.old_monitor = owned(live.service_monitor.as_ref(), validated);
    }
    if monitored.is_none() && !is_unknown {
        decided.old_service = owned(live.stats_service.as_ref(), validated);
    }
    let has_login = monitored.is_some() && !validated.exporter_shows_certificate();
    if !has_login {
        decided.old_login = owned(live.exporter_secret.as_ref(), validated);
    }
    decided
}

/// The object, unless it belongs to someone else: the name alone proves nothing.
fn owned<'a, K: Resource>(object: Option<&'a impl Borrow<K>>, validated: &Validated) -> Option<&'a K> {
    let object: &K = object?.borrow();
    let mut owners = object.meta().owner_references.iter().flatten();
    owners.any(|owner| owner == &validated.owner).then_some(object)
}
