//! The task runner of the workspace. `cargo xtask --help` lists the verbs.

mod generate;
mod imports;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this workspace")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Check which file imports which: cycles, steps, layers, sizes of files
    Imports,
    /// Write the definitions, policies and reference pages that follow from the types of the API
    Generate {
        /// Only fail where a file is stale
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().verb {
        Verb::Imports => imports::run(),
        Verb::Generate { check } => generate::run(check),
    }
}
