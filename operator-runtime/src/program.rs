//! The main function of an operator: parse the flags, probe or run, return the exit status.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing::{error, info};

use crate::args::CommonArgs;
use crate::error_chain;
use crate::identity::Identity;
use crate::probe::{ProbeArgs, probe};
use crate::runtime::Runtime;

#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli<A: Args> {
    #[command(subcommand)]
    command: Option<Command<A>>,
    #[command(flatten)]
    run: A,
}

#[derive(Debug, Subcommand)]
enum Command<A: Args> {
    /// Run the operator. The default.
    Run(A),
    /// Check an operator that runs in the same container, for the kubelet.
    Probe(ProbeArgs),
}

/// The whole main function of an operator: parses the flags, runs `probe`, or starts the runtime and passes it
/// to `run`.
///
/// Every flag of `A` needs a default, so that `run` may be left out on the command line. Returns
/// success when `run` ended without an error.
pub fn main<A, Fut>(
    identity: Identity,
    common: fn(&A) -> &CommonArgs,
    run: impl FnOnce(Runtime, A) -> Fut,
) -> ExitCode
where
    A: Args,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let command = Cli::<A>::command().name(identity.name).version(identity.version);
    let cli = match Cli::<A>::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let args = match cli.command {
        Some(Command::Probe(args)) => return probe(&args),
        Some(Command::Run(args)) => args,
        None => cli.run,
    };
    // Few threads: most of the work is waiting, and every thread costs memory.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
    let executor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(8)
        .enable_all()
        .build();
    let executor = match executor {
        Ok(executor) => executor,
        Err(error) => {
            eprintln!("{}: no async runtime: {error}", identity.name);
            return ExitCode::FAILURE;
        }
    };
    let ended = executor.block_on(async {
        let runtime = Runtime::start(identity, common(&args)).await?;
        run(runtime, args).await
    });
    executor.shutdown_timeout(Duration::from_secs(1));
    match ended {
        Ok(()) => {
            info!(operator = identity.name, "stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let error = error_chain(error.as_ref());
            error!(operator = identity.name, "exited with an error: {error}");
            if !tracing::dispatcher::has_been_set() {
                eprintln!("{}: {error}", identity.name);
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests;
