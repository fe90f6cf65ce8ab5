//! Metrics of this process from the kernel, under the usual names.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::panics;

/// Reads `/proc/self` at every scrape.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let panics = ConstCounter::new(panics::count());
        let family = encoder.encode_descriptor(
            "pgpool_operator_panics",
            "Panics, each of which is a bug; the log has their locations",
            None,
            MetricType::Counter,
        )?;
        panics.encode(family)?;
        // Without the file this metric is missing, and no other.
        let Some(resident) = status_field("VmRSS:") else {
            return Ok(());
        };
        let gauge = ConstGauge::new(resident.saturating_mul(1024));
        let family = encoder.encode_descriptor(
            "process_resident_memory",
            "Memory of this process that is in RAM",
            Some(&Unit::Bytes),
            MetricType::Gauge,
        )?;
        gauge.encode(family)
    }
}

/// Returns a field of `/proc/self/status`, in KiB.
fn status_field(name: &str) -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
