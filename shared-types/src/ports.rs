//! The ports of a Pgpool pod and of its Services.

/// SQL, with the PostgreSQL protocol.
pub const PGPOOL: u16 = 9999;
/// Name of the container port of [`PGPOOL`], which Services and probes use.
pub const PGPOOL_NAME: &str = "db";
/// PCP, the control protocol of pgpool.
pub const PCP: u16 = 9595;
/// The metrics exporter.
pub const METRICS: u16 = 9719;
/// Name of the port of metrics, on pods and Services.
pub const METRICS_NAME: &str = "metrics";
/// PostgreSQL, if an address has no port.
pub const POSTGRES: u16 = 5432;
