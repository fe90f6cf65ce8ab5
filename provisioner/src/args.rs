//! Flags of this operator beside the shared ones.

use std::time::Duration;

use clap::Args as ClapArgs;
use operator_runtime::CommonArgs;
use operator_runtime::args::{duration, duration_or_none};

use crate::maintenance_window::Window;

/// Every flag of the provisioner.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Args {
    /// The shared flags.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// ops-manager.
    #[command(flatten)]
    pub(crate) peer: PeerArgs,
    /// Certificates.
    #[command(flatten)]
    pub(crate) certificates: CertificateArgs,
}

/// Flags about certificates.
#[derive(ClapArgs, Clone, Debug)]
#[command(next_help_heading = "Certificates")]
pub(crate) struct CertificateArgs {
    /// How long certificates of an earlier issuer or CA are accepted after every one that the operators know of has been
    /// replaced, so that clients can take up theirs; `0s` for not at all.
    #[arg(long, env = "PGPOOL_CA_OVERLAP", default_value = "10m", value_parser = duration_or_none)]
    pub(crate) ca_overlap: Duration,
    /// How many Pgpools give a new certificate to their pods at one time, each to one pod after the other; 0 for no limit.
    #[arg(long, env = "PGPOOL_ROTATION_AT_ONCE", default_value_t = 20)]
    pub(crate) rotation_at_once: u32,
    /// How many pods are replaced in a minute for the sake of a new certificate; 0 for no limit.
    #[arg(long, env = "PGPOOL_ROTATION_PODS_PER_MINUTE", default_value_t = 120)]
    pub(crate) rotation_pods_per_minute: u32,
    /// When new certificates may be given to pods, such as `Sat,Sun 02:00-05:00 Europe/Berlin`, where a Pgpool does not say
    /// so itself; at any time when left out.
    #[arg(long, env = "PGPOOL_MAINTENANCE_WINDOW")]
    pub(crate) maintenance_window: Option<Window>,
}

/// Flags about ops-manager.
#[derive(ClapArgs, Clone, Debug)]
#[command(next_help_heading = "ops-manager")]
pub(crate) struct PeerArgs {
    /// URL of ops-manager's channel, such as `https://pgpool-ops-manager.pgpool-system.svc:8443`; empty for none.
    #[arg(long, env = "PGPOOL_PEER_ADDRESS", default_value = "")]
    pub(crate) peer_address: String,
    /// Name that the certificate of ops-manager's channel must bear; the host of the address when empty.
    #[arg(long, env = "PGPOOL_PEER_NAME", default_value = "")]
    pub(crate) peer_name: String,
    /// How long ops-manager may take to judge certificates before the provisioner judges them itself.
    #[arg(long, env = "PGPOOL_HANDOFF_GRACE", default_value = "2s", value_parser = duration)]
    pub(crate) handoff_grace: Duration,
}

impl PeerArgs {
    /// Where ops-manager is and what it is called; nothing when there is no channel to it.
    pub(crate) fn peer(&self) -> Option<(&str, &str)> {
        if self.peer_address.is_empty() {
            return None;
        }
        let host = || {
            let (_, rest) = self.peer_address.split_once("://")?;
            rest.split(['/', ':']).next()
        };
        let name = Some(self.peer_name.as_str())
            .filter(|name| !name.is_empty())
            .or_else(host);
        Some((&self.peer_address, name.unwrap_or(&self.peer_address)))
    }
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
