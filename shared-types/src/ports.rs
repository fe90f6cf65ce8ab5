//! The ports of a Pgpool pod and of its Services: one home for the numbers.

/// SQL, by the PostgreSQL protocol.
pub const PGPOOL: u16 = 9999;
/// Name of the container port of [`PGPOOL`]: Services and probes mean it.
pub const PGPOOL_NAME: &str = "db";
/// PCP, pgpool's own control protocol.
pub const PCP: u16 = 9595;
/// The metrics exporter.
pub const METRICS: u16 = 9719;
/// Name of the port of metrics, on pods and Services.
pub const METRICS_NAME: &str = "metrics";
/// PostgreSQL itself, where an address names no port.
pub const POSTGRES: u16 = 5432;
