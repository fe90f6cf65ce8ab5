//! The flags of ops-manager: those that both operators share, and its own.

use std::time::Duration;

use clap::Args;
use operator_runtime::CommonArgs;
use operator_runtime::args::duration;

use crate::certificates::breaker::Limits;

/// Every flag of `ops-manager run`.
#[derive(Args, Clone, Debug)]
pub struct OpsManagerArgs {
    /// What both operators share.
    #[command(flatten)]
    pub common: CommonArgs,
    /// Certificates that change without end.
    #[command(flatten)]
    pub(crate) breaker: BreakerArgs,
    /// Namespace in which cert-manager looks for the Secrets of `ClusterIssuer`s; its flag of the same name.
    #[arg(
        long,
        env = "PGPOOL_CLUSTER_RESOURCE_NAMESPACE",
        default_value = "cert-manager"
    )]
    pub(crate) cluster_resource_namespace: String,
}

/// Flags about certificates that change without end.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Circuit breaker")]
pub(crate) struct BreakerArgs {
    /// How often a certificate may be issued within the window before nothing is asked for any more.
    #[arg(long, env = "PGPOOL_BREAKER_REVISIONS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) breaker_revisions: u32,
    /// How often somebody else than cert-manager may overwrite a certificate Secret within the window.
    #[arg(long, env = "PGPOOL_BREAKER_OVERWRITES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) breaker_overwrites: u32,
    /// The window, from the first change that is counted.
    #[arg(long, env = "PGPOOL_BREAKER_WINDOW", default_value = "1h", value_parser = duration)]
    pub(crate) breaker_window: Duration,
}

impl BreakerArgs {
    /// How often a certificate may change.
    #[must_use]
    pub(crate) fn limits(self) -> Limits {
        Limits {
            revisions: self.breaker_revisions,
            overwrites: self.breaker_overwrites,
            window: self.breaker_window,
        }
    }
}
