//! The task runner of the workspace. `cargo xtask help` lists the verbs.

mod advisories;
mod generate;
mod imports;
mod permissions;
mod sbom;
mod scripts;
mod tasks;
mod tools;
mod workspace;
mod writes;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Tasks of this workspace"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Format the code
    Fmt,
    /// Run every check that needs no cluster; the checkers are installed on first use
    Lint,
    /// Write the files that follow from the types of the API: definitions, policies, reference pages
    Generate {
        /// Write nothing, and fail where a file is stale
        #[arg(long)]
        check: bool,
    },
    /// Check which file imports which: cycles, steps, layers, sizes of files
    Imports,
    /// Write a software bill of materials for each operator into target/sbom
    Sbom,
    /// Run every test: unit tests, and those on a cluster of their own
    Test,
    /// Create a local cluster with both operators and a Pgpool with TLS, and run a query through it
    Demo,
    /// Run what CI runs
    Ci,
}

fn main() -> anyhow::Result<ExitCode> {
    let passed = match Arguments::parse().verb {
        Verb::Fmt => tasks::run(tasks::FMT),
        Verb::Lint => tasks::run(tasks::LINT),
        Verb::Generate { check } => generate::run(check)?,
        Verb::Imports => imports::run()?,
        Verb::Sbom => sbom::run()?,
        Verb::Test => tasks::run(tasks::TEST),
        Verb::Demo => tasks::run(tasks::DEMO),
        Verb::Ci => tasks::run(tasks::CI),
    };
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
