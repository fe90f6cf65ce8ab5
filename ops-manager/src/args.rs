//! The flags of ops-manager: those that both operators share, and its own.

use std::time::Duration;

use clap::Args as ClapArgs;
use operator_runtime::CommonArgs;
use operator_runtime::args::duration;

use crate::certificates::decide::breaker::Limits;

/// All flags of `ops-manager run`.
#[derive(ClapArgs, Clone, Debug)]
pub struct Args {
    /// The flags of both operators.
    #[command(flatten)]
    pub common: CommonArgs,
    #[command(flatten)]
    pub(crate) breaker: BreakerArgs,
    /// Namespace in which cert-manager looks for the Secrets of `ClusterIssuer`s, as in cert-manager's flag of this name.
    #[arg(
        long,
        env = "PGPOOL_CLUSTER_RESOURCE_NAMESPACE",
        default_value = "cert-manager"
    )]
    pub(crate) cluster_resource_namespace: String,
}

/// When to stop issuing a certificate that keeps changing.
#[derive(ClapArgs, Clone, Copy, Debug)]
#[command(next_help_heading = "Circuit breaker")]
pub(crate) struct BreakerArgs {
    /// How often a certificate may be issued within the window before ops-manager stops requesting it.
    #[arg(id = "breaker_revisions", long = "breaker-revisions", env = "PGPOOL_BREAKER_REVISIONS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) revisions: u32,
    /// How often anyone other than cert-manager may overwrite a certificate Secret within the window before ops-manager
    /// stops requesting the certificate.
    #[arg(id = "breaker_overwrites", long = "breaker-overwrites", env = "PGPOOL_BREAKER_OVERWRITES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) overwrites: u32,
    /// Length of the window, from the first counted change.
    #[arg(id = "breaker_window", long = "breaker-window", env = "PGPOOL_BREAKER_WINDOW", default_value = "1h", value_parser = duration)]
    pub(crate) window: Duration,
}

impl BreakerArgs {
    #[must_use]
    pub(crate) fn limits(self) -> Limits {
        Limits {
            revisions: self.revisions,
            overwrites: self.overwrites,
            window: self.window,
        }
    }
}
