//! The ops-manager: see the crate documentation of the library beside it.

use std::process::ExitCode;

use operator_runtime::Identity;
use ops_manager::args::OpsManagerArgs;
use ops_manager::run::run;
use shared_types::names;

/// Gives memory back that is free for a second; how is in `.cargo/config.toml`. The C library's keeps what lies between
/// the objects of a cache for ever.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let identity = Identity {
        name: "ops-manager",
        version: env!("CARGO_PKG_VERSION"),
        field_manager: names::OPS_MANAGER,
    };
    operator_runtime::main(identity, |args: &OpsManagerArgs| &args.common, run)
}
