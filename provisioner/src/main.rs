//! The provisioner: see the library of this crate.

use std::process::ExitCode;

use provisioner::args::Args;
use provisioner::run::{IDENTITY, run};

/// Gives memory back that is free for a second; how is in `.cargo/config.toml`. The C library's keeps what lies between
/// the objects of a cache for ever.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    operator_runtime::main(IDENTITY, |args: &Args| &args.common, run)
}
