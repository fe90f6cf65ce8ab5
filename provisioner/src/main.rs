//! The provisioner: see the library of this crate.

use std::process::ExitCode;

use provisioner::args::Args;
use provisioner::run::{IDENTITY, run};

fn main() -> ExitCode {
    operator_runtime::main(IDENTITY, |args: &Args| &args.common, run)
}
