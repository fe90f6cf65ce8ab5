//! The flags of ops-manager: those that both operators share, and none of its own so far.

use clap::Args;
use operator_runtime::CommonArgs;

/// Every flag of `ops-manager run`.
#[derive(Args, Clone, Debug)]
pub struct OpsManagerArgs {
    /// What both operators share.
    #[command(flatten)]
    pub common: CommonArgs,
}
