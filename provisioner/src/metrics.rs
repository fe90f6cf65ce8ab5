//! What this operator counts beside what every controller does. No object is ever named in a label.

use operator_runtime::metrics::SharedRegistry;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// The metrics of the provisioner.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    checks: Family<Check, Counter>,
    heard: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    result: &'static str,
}

impl Metrics {
    /// Makes them and lets them be scraped.
    #[must_use]
    pub fn register(registry: &SharedRegistry) -> Self {
        let metrics = Self::default();
        registry.with(|registry| {
            registry.register(
                "pgpool_provisioner_pod_checks",
                "Logins to pods, by what came of them",
                metrics.checks.clone(),
            );
            registry.register(
                "pgpool_provisioner_ops_manager_heard",
                "Whether the verdicts of ops-manager arrive on the channel",
                metrics.heard.clone(),
            );
        });
        metrics
    }

    /// Counts a check of a pod; `result` is from a fixed set.
    pub fn checked(&self, result: &'static str) {
        self.checks.get_or_create(&Check { result }).inc();
    }

    /// Notes whether ops-manager is heard.
    pub fn heard(&self, heard: bool) {
        self.heard.set(heard.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_shown_to_scrapers() {
        let registry = SharedRegistry::default();
        let metrics = Metrics::register(&registry);
        metrics.checked("accepted");
        metrics.checked("accepted");
        metrics.heard(true);
        let text = registry.encode().unwrap();
        assert!(
            text.contains("pgpool_provisioner_pod_checks_total{result=\"accepted\"} 2"),
            "{text}"
        );
        assert!(text.contains("pgpool_provisioner_ops_manager_heard 1"), "{text}");
    }
}
