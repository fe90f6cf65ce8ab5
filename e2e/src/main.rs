//! The demo, the test cases and the benchmarks of the two operators, all behind `cargo e2e`, on the cluster of
//! [`local_cluster`].
//!
//! | Modules | Concern |
//! |---|---|
//! | [`cli`], [`workspace`], [`runner`] | what a command does, in which order |
//! | [`images`], [`operators`] | what runs in the cluster |
//! | [`mod@case`], [`namespace`] | what test cases are written with |
//! | [`cases`], [`guides`], [`demo`], [`mod@bench`], [`soak`], [`report`], [`matrix`], [`hostile`], [`x509`] | the cases, guides, demo, benchmarks, soak and reports themselves |

// Used only in this repository: documented only where a name is not clear enough.
#![allow(missing_docs)]

mod bench;
mod case;
mod cases;
mod cli;
mod demo;
mod guides;
mod hostile;
mod images;
mod matrix;
mod namespace;
mod operators;
mod report;
mod runner;
mod soak;
mod workspace;
mod x509;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
