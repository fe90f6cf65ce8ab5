//! The ops-manager: see the library of this crate.

use std::process::ExitCode;

use ops_manager::args::Args;
use ops_manager::run::{IDENTITY, run};

/// Returns memory that has been free for a second; configured in `.cargo/config.toml`. The allocator of the C library
/// keeps what lies between the objects of a cache.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    operator_runtime::main(IDENTITY, |args: &Args| &args.common, run)
}
