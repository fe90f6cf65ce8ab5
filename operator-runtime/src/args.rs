//! Flags that both operators have, each with an environment variable and help.
//!
//! Values are parsed into types here; no other code reads the environment. Secrets are never flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

pub use crate::logging::LogArgs;
use crate::scope::Scope;

/// Every flag the operators share; flatten it into the flags of the binary.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    /// Flags for logging.
    #[command(flatten)]
    pub log: LogArgs,
    /// Flags for the cluster.
    #[command(flatten)]
    pub kube: KubeArgs,
    /// The admin endpoint.
    #[command(flatten)]
    pub admin: AdminArgs,
    /// Leadership.
    #[command(flatten)]
    pub lease: LeaseArgs,
    /// The gRPC channel.
    #[command(flatten)]
    pub channel: ChannelArgs,
    /// Maximum number of objects that one controller reconciles concurrently.
    #[arg(long, env = "PGPOOL_MAX_CONCURRENT_RECONCILES", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_concurrent_reconciles: u16,
}

/// Flags about the cluster.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Cluster")]
pub struct KubeArgs {
    /// Kubeconfig file to use instead of the pod's service account.
    #[arg(long, env = "PGPOOL_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Namespaces to serve, comma separated; empty for all.
    #[arg(long, env = "PGPOOL_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// DNS domain of the cluster.
    #[arg(long, env = "PGPOOL_CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
}

impl KubeArgs {
    /// Returns the part of the cluster to serve.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::from_namespaces(self.watch_namespaces.clone())
    }
}

/// Flags about the admin endpoint.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Admin endpoint")]
pub struct AdminArgs {
    /// Address of /livez, /readyz and /metrics. Plain HTTP, so loopback by default.
    #[arg(long, env = "PGPOOL_ADMIN_ADDRESS", default_value = "127.0.0.1:8081")]
    pub admin_address: SocketAddr,
}

/// Flags about leadership.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Leadership")]
pub struct LeaseArgs {
    /// Name of the Lease. Defaults to the name of the operator.
    #[arg(long, env = "PGPOOL_LEASE_NAME")]
    pub lease_name: Option<String>,
    /// Namespace of the Lease. Defaults to the namespace of the pod.
    #[arg(long, env = "PGPOOL_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Identity of this process in the Lease. Defaults to the host name, which is the name of the pod.
    #[arg(long, env = "PGPOOL_LEASE_IDENTITY")]
    pub lease_identity: Option<String>,
    /// How long a standby waits after the last renewal by the leader.
    #[arg(long, env = "PGPOOL_LEASE_DURATION", default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,
    /// How long a leader continues without a successful renewal; shorter than the duration. It renews twice in that time.
    #[arg(long, env = "PGPOOL_LEASE_RENEW", default_value = "10s", value_parser = duration)]
    pub lease_renew: Duration,
    /// Act without a Lease. Only safe when no second replica can exist.
    #[arg(long, env = "PGPOOL_NO_LEASE")]
    pub no_lease: bool,
}

/// Flags about the gRPC channel.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Channel")]
pub struct ChannelArgs {
    /// Address of the gRPC server.
    #[arg(long, env = "PGPOOL_CHANNEL_ADDRESS", default_value = "0.0.0.0:8443")]
    pub channel_address: SocketAddr,
    /// Directory with tls.crt, tls.key and ca.crt. It may be empty or missing at first; the channel opens when the files exist.
    #[arg(
        long,
        env = "PGPOOL_CHANNEL_TLS_DIR",
        default_value = "/etc/pgpool-operator/channel-tls"
    )]
    pub channel_tls_dir: PathBuf,
    /// DNS names of the clients that may use the channel, comma separated; the name of the other operator if empty. The
    /// certificate of a client must have one of them as subject alternative name.
    #[arg(long, env = "PGPOOL_CHANNEL_CLIENTS", value_delimiter = ',')]
    pub channel_clients: Vec<String>,
    /// Maximum number of open requests and streams per connection.
    #[arg(long, env = "PGPOOL_CHANNEL_MAX_STREAMS", default_value_t = 100)]
    pub channel_max_streams: u32,
    /// Maximum number of connections to the server.
    #[arg(long, env = "PGPOOL_CHANNEL_MAX_CONNECTIONS", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    pub channel_max_connections: u16,
}

impl ChannelArgs {
    /// Returns the names of the clients that may use the channel.
    #[must_use]
    pub fn clients(&self, other_operator: &str) -> Vec<String> {
        let mut names = self.channel_clients.clone();
        names.retain(|name| !name.is_empty());
        if names.is_empty() {
            names.push(other_operator.to_owned());
        }
        names
    }
}

/// Parses a duration such as `15s`, `2m` or `1h 30m`, for use as a clap value parser.
///
/// # Errors
/// When the text is not a duration, or is not positive.
pub fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_none(text) {
        Ok(duration) if duration.is_zero() => Err("a duration must be longer than 0s".to_owned()),
        parsed => parsed,
    }
}

/// Parses a duration that may be zero, such as `0s` or `10m`.
///
/// # Errors
/// When the text is not a duration, or the duration is negative.
pub fn duration_or_none(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| "a duration must not be negative".to_owned())
}
