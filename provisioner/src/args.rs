//! Flags of the provisioner beside the shared ones.

use std::time::Duration;

use clap::Args as ClapArgs;
use operator_runtime::CommonArgs;
use operator_runtime::args::{duration, duration_or_none};

use crate::across_namespaces::AcrossNamespaces;
use crate::maintenance_window::Window;

/// Every flag of the provisioner.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) peer: PeerArgs,
    #[command(flatten)]
    pub(crate) certificates: CertificateArgs,
    #[command(flatten)]
    pub(crate) postgres: PostgresArgs,
}

/// Flags about PostgreSQL.
#[derive(ClapArgs, Clone, Debug)]
#[command(next_help_heading = "PostgreSQL")]
pub(crate) struct PostgresArgs {
    /// Which `AppBinding`s of other namespaces Pgpools may use.
    #[arg(long, env = "PGPOOL_ACROSS_NAMESPACES", value_enum, default_value_t)]
    pub(crate) across_namespaces: AcrossNamespaces,
    /// Whether users may set settings that make pgpool run a command, such as `failover_command`. They may anyway while
    /// tenants trust each other, which the chart of the definitions decides.
    #[arg(long, env = "PGPOOL_ALLOW_COMMANDS")]
    pub(crate) allow_commands: bool,
}

/// Flags about certificates.
#[derive(ClapArgs, Clone, Debug)]
#[command(next_help_heading = "Certificates")]
pub(crate) struct CertificateArgs {
    /// How long certificates of a previous CA stay trusted after every certificate that the operators know has been replaced,
    /// so that clients can switch to theirs; `0s` to stop at once.
    #[arg(long, env = "PGPOOL_CA_OVERLAP", default_value = "10m", value_parser = duration_or_none)]
    pub(crate) ca_overlap: Duration,
    /// Maximum number of Pgpools that rotate certificates at the same time, each one pod after the other; 0 for no limit.
    #[arg(long, env = "PGPOOL_ROTATION_AT_ONCE", default_value_t = 20)]
    pub(crate) rotation_at_once: u32,
    /// Maximum number of pods per minute that are replaced because of a new certificate; 0 for no limit.
    #[arg(long, env = "PGPOOL_ROTATION_PODS_PER_MINUTE", default_value_t = 120)]
    pub(crate) rotation_pods_per_minute: u32,
    /// When pods may take new certificates, such as `Sat,Sun 02:00-05:00 Europe/Berlin`, unless an annotation of the Pgpool
    /// overrides it; at any time by default.
    #[arg(long, env = "PGPOOL_MAINTENANCE_WINDOW")]
    pub(crate) maintenance_window: Option<Window>,
}

/// Flags about ops-manager.
#[derive(ClapArgs, Clone, Debug)]
#[command(next_help_heading = "ops-manager")]
pub(crate) struct PeerArgs {
    /// URL of the gRPC channel of ops-manager, such as `https://pgpool-ops-manager.pgpool-system.svc:8443`; empty for none.
    #[arg(long, env = "PGPOOL_PEER_ADDRESS", default_value = "")]
    pub(crate) peer_address: String,
    /// DNS name in the certificate of that channel; the host of the address when empty.
    #[arg(long, env = "PGPOOL_PEER_NAME", default_value = "")]
    pub(crate) peer_name: String,
    /// How long ops-manager may take to verify certificates before the provisioner verifies them itself.
    #[arg(long, env = "PGPOOL_HANDOFF_GRACE", default_value = "2s", value_parser = duration)]
    pub(crate) handoff_grace: Duration,
}

impl PeerArgs {
    /// URL and DNS name of ops-manager; `None` without a channel to it.
    pub(crate) fn peer(&self) -> Option<(&str, &str)> {
        if self.peer_address.is_empty() {
            return None;
        }
        let name = if self.peer_name.is_empty() {
            host(&self.peer_address)
        } else {
            &self.peer_name
        };
        Some((&self.peer_address, name))
    }
}

/// The host of a URL; the text itself when it is no URL.
fn host(url: &str) -> &str {
    let Some((_, rest)) = url.split_once("://") else {
        return url;
    };
    rest.split(['/', ':']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_the_address_is_the_name_unless_one_is_given() {
        let peer = |address: &str, name: &str| {
            let args = PeerArgs {
                peer_address: address.to_owned(),
                peer_name: name.to_owned(),
                handoff_grace: Duration::from_secs(2),
            };
            args.peer()
                .map(|(address, name)| (address.to_owned(), name.to_owned()))
        };
        let named = |name: &str| Some(("https://ops.system.svc:8443".to_owned(), name.to_owned()));
        assert_eq!(peer("", "anything"), None);
        assert_eq!(peer("https://ops.system.svc:8443", ""), named("ops.system.svc"));
        assert_eq!(peer("https://ops.system.svc:8443", "ops"), named("ops"));
    }
}
