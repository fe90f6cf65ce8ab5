//! The metrics of this operator beside those that every controller has. Labels never name objects.

use std::time::Duration;

use operator_runtime::metrics::SharedRegistry;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

/// The metrics of the provisioner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    checks: Family<Check, Counter>,
    connected: Gauge,
    rotations: Durations,
    mismatches: Gauge,
    full: Gauge,
}

/// A pod in which no child of pgpool is free. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct FullPod(Gauge);

impl Drop for FullPod {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Buckets from seconds for one pod to half an hour for nine.
const DURATIONS: [f64; 9] = [5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0];

#[derive(Clone, Debug)]
struct Durations(Histogram);

impl Default for Durations {
    fn default() -> Self {
        Self(Histogram::new(DURATIONS))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    result: &'static str,
}

impl Metrics {
    /// Creates and registers the metrics.
    pub(crate) fn register(registry: &SharedRegistry) -> Self {
        let metrics = Self::default();
        registry.with(|registry| {
            registry.register(
                "pgpool_provisioner_pod_checks",
                "Probes of pods by result",
                metrics.checks.clone(),
            );
            registry.register(
                "pgpool_provisioner_ops_manager_connected",
                "Whether the connection to ops-manager is up",
                metrics.connected.clone(),
            );
            registry.register(
                "pgpool_rotation_duration_seconds",
                "Time from new certificates in the workload until all pods serve them",
                metrics.rotations.0.clone(),
            );
            registry.register(
                "pgpool_served_fingerprint_mismatches",
                "Ready pods that serve no certificate, or one other than the mounted one",
                metrics.mismatches.clone(),
            );
            registry.register(
                "pgpool_pods_without_free_child",
                "Pods in which clients have all children of pgpool, so that new clients wait",
                metrics.full.clone(),
            );
        });
        metrics
    }

    /// Counts a probe of a pod; `result` is from a fixed set.
    pub(crate) fn count_pod_check(&self, result: &'static str) {
        self.checks.get_or_create(&Check { result }).inc();
    }

    /// Notes how long new certificates took into all pods of a Pgpool.
    pub(crate) fn rotated(&self, took: Duration) {
        self.rotations.0.observe(took.as_secs_f64());
    }

    /// Notes how many pods serve another certificate than they should.
    pub(crate) fn mismatched(&self, pods: usize) {
        self.mismatches.set(i64::try_from(pods).unwrap_or(i64::MAX));
    }

    /// Counts a pod in which no child of pgpool is free, until the result is dropped.
    pub(crate) fn full_pod(&self) -> FullPod {
        self.full.inc();
        FullPod(self.full.clone())
    }

    /// Whether the connection to ops-manager is up.
    pub(crate) fn connected(&self, connected: bool) {
        self.connected.set(connected.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_to_scrapers() {
        let registry = SharedRegistry::default();
        let metrics = Metrics::register(&registry);
        metrics.count_pod_check("accepted");
        metrics.count_pod_check("accepted");
        metrics.connected(true);
        let full = metrics.full_pod();
        drop(metrics.full_pod());
        let text = registry.encode().unwrap();
        assert!(
            text.contains("pgpool_provisioner_pod_checks_total{result=\"accepted\"} 2"),
            "{text}"
        );
        assert!(
            text.contains("pgpool_provisioner_ops_manager_connected 1"),
            "{text}"
        );
        assert!(text.contains("pgpool_pods_without_free_child 1"), "{text}");
        drop(full);
        let text = registry.encode().unwrap();
        assert!(text.contains("pgpool_pods_without_free_child 0"), "{text}");
    }
}
