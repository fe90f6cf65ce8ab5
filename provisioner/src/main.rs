//! Runs Pgpool-II: creates everything a `Pgpool` needs in the cluster, checks that its pods serve, and reports in the
//! status what is still missing.
//!
//! The process is cache → reconcile → API server and holds no other state that matters: it can be killed between
//! any two lines, and the channel to the other operator can be cut, without changing where a `Pgpool` ends up.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod across_namespaces;
mod args;
mod caches;
mod context;
mod credential;
mod grpc;
mod health;
mod hex;
mod maintenance_window;
mod metrics;
mod own_status;
mod passwords;
mod peer;
mod pgpool;
mod prometheus;
mod rotation_limiter;
mod run;

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod fixtures;

use std::process::ExitCode;

use args::Args;
use run::{IDENTITY, run};

/// Returns memory to the system that has been free for a second (settings in `.cargo/config.toml`). The allocator of
/// the C library keeps the gaps between the objects of a cache.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    operator_runtime::main(IDENTITY, |args: &Args| &args.common, run)
}
