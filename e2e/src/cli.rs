//! The command line: what a user may ask for, and which part does it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};
use local_cluster::cache::Cache;
use local_cluster::cluster::Cluster;
use local_cluster::cluster_lock::{ClusterLock, HOLDER, LockOptions};
use local_cluster::progress::{Elapsed, Progress};
use local_cluster::target::Target;

use crate::bench::{self, Benchmark};
use crate::demo;
use crate::operators::Profile;
use crate::report::{self, Report};
use crate::runner;
use crate::soak::{self, Soak};
use crate::workspace::Workspace;

/// A local Kubernetes cluster for the two operators, the demonstration, the tests and the benchmarks.
#[derive(Debug, Parser)]
#[command(name = "cargo e2e", bin_name = "cargo e2e", version)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Args)]
struct Settings {
    /// Use the cluster of this kubeconfig instead of the local one (demo, bench, soak, report, test, kubectl, exec).
    #[arg(long, global = true, value_name = "FILE", env = "PGPOOL_E2E_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,

    /// Keep what is built in this folder instead of `pgpool-operators` in the user's cache folder.
    #[arg(long, global = true, value_name = "FOLDER", env = "PGPOOL_E2E_CACHE")]
    cache: Option<PathBuf>,

    /// How the operators in the local cluster are compiled.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "release",
        env = "PGPOOL_E2E_PROFILE"
    )]
    profile: Profile,

    /// Fail at once when another command works with the local cluster, instead of waiting for its end.
    #[arg(
        long,
        global = true,
        value_parser = FalseyValueParser::new(),
        env = "PGPOOL_E2E_NO_WAIT"
    )]
    no_wait: bool,

    /// The process that holds the cluster for this one: set by `exec`.
    #[arg(long, global = true, hide = true, env = HOLDER)]
    holder: Option<i32>,

    /// The user's cache folder, as the XDG specification names it.
    #[arg(long, global = true, hide = true, env = "XDG_CACHE_HOME")]
    xdg_cache_home: Option<PathBuf>,

    /// The caller's search path, which `exec` extends.
    #[arg(long, global = true, hide = true, env = "PATH")]
    search_path: Option<OsString>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run everything from nothing: cluster, operators, a Pgpool with TLS, a query through it.
    Demo,
    /// Bring the local cluster up, with both operators.
    Up {
        /// Leave the operators out.
        #[arg(long)]
        no_operators: bool,
    },
    /// Take the local cluster down, with all it left on the machine.
    Down,
    /// Empty the cache of what was built.
    Clean,
    /// Run kubectl on the cluster.
    Kubectl {
        /// What follows is kubectl's.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run a command in the cluster's network, with KUBECONFIG set and kubectl and helm on its PATH.
    Exec {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Run the tests, and end with how many passed and failed.
    Test(runner::Selection),
    /// Measure, print the figures, and write them to target/e2e.
    Bench {
        /// What to measure.
        benchmark: Benchmark,
    },
    /// Change certificates all the time under load, and print what came of it.
    Soak(Soak),
    /// Print a table about what holds in the cluster, and write it to target/e2e.
    Report {
        /// What about.
        #[command(subcommand)]
        report: Report,
    },
}

impl Cli {
    /// Does what was asked for.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { settings, action } = self;
        let cache = Cache::locate(settings.cache.as_deref(), settings.xdg_cache_home.as_deref())?;
        let kubeconfig = settings.kubeconfig.as_deref();
        if kubeconfig.is_some() && matches!(action, Action::Up { .. } | Action::Down | Action::Clean) {
            bail!("--kubeconfig names a cluster that is not ours to bring up or down");
        }
        let lock = LockOptions {
            no_wait: settings.no_wait,
            holder: settings.holder,
        };
        let workspace = Workspace::new(cache, Progress::default(), settings.profile, lock)?;
        match action {
            Action::Demo => demo::run(&workspace, kubeconfig)?,
            Action::Up { no_operators } => up(&workspace, !no_operators)?,
            Action::Down => Cluster::down(workspace.lock, &workspace.progress)?,
            Action::Clean => clean(&workspace)?,
            Action::Kubectl { arguments } => return kubectl(&workspace, kubeconfig, &arguments),
            Action::Exec { command } => return exec(&workspace, kubeconfig, settings.search_path, &command),
            Action::Test(selection) => return runner::run(&workspace, kubeconfig, &selection),
            Action::Soak(soak) => return soak::run(&workspace, kubeconfig, &soak),
            Action::Report { report } => return report::run(&workspace, kubeconfig, &report),
            Action::Bench { benchmark } => bench::run(&workspace, kubeconfig, benchmark)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn up(workspace: &Workspace, with_operators: bool) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    let cluster = workspace.up(with_operators)?;
    workspace.progress.line(format_args!(
        "up after {}; try: cargo e2e kubectl -- get pods -A\nkubeconfig: {} (inside `cargo e2e exec`)",
        Elapsed(start.elapsed()),
        cluster.kubeconfig().display(),
    ));
    Ok(())
}

fn clean(workspace: &Workspace) -> anyhow::Result<()> {
    if Cluster::find()?.is_some() {
        bail!("the cluster runs from the cache: run `cargo e2e down` first");
    }
    workspace.cache.clean()?;
    workspace
        .progress
        .line(format_args!("removed {}", workspace.cache.root().display()));
    Ok(())
}

fn kubectl(
    workspace: &Workspace,
    kubeconfig: Option<&Path>,
    arguments: &[OsString],
) -> anyhow::Result<ExitCode> {
    let target = Target::find(kubeconfig)?;
    let mut command = target.command(&workspace.kubectl(&target)?);
    command.args(arguments).env("KUBECONFIG", target.kubeconfig());
    replace(workspace, &target, &mut command)
}

fn exec(
    workspace: &Workspace,
    kubeconfig: Option<&Path>,
    search_path: Option<OsString>,
    arguments: &[OsString],
) -> anyhow::Result<ExitCode> {
    let (program, arguments) = arguments.split_first().context("no command")?;
    let target = Target::find(kubeconfig)?;
    let mut programs = vec![workspace.kubectl(&target)?];
    let mut command = match &target {
        Target::Local(cluster) => {
            programs.push(cluster.program("helm")?.to_owned());
            cluster.named_command(Path::new(program))
        }
        Target::Existing(_) => Command::new(program),
    };
    let folders = programs.iter().filter_map(|program| program.parent());
    let own: Vec<PathBuf> = std::env::split_paths(&search_path.unwrap_or_default()).collect();
    let path = std::env::join_paths(folders.map(Path::to_owned).chain(own))?;
    command
        .args(arguments)
        .env("PATH", path)
        .env("KUBECONFIG", target.kubeconfig());
    replace(workspace, &target, &mut command)
}

/// Becomes the command: terminal, signals and exit status are its own.
///
/// It holds the local cluster when nobody does. Otherwise it runs all the same, as one wants to look at what the
/// others do.
fn replace(workspace: &Workspace, target: &Target, command: &mut Command) -> anyhow::Result<ExitCode> {
    if let (Target::Local(_), None) = (target, workspace.lock.holder) {
        match ClusterLock::look()? {
            Ok(lock) => {
                lock.pass_to(command)?;
                return turn_into(command);
            }
            Err(holder) => workspace.progress.line(format_args!("note: {holder}")),
        }
    }
    turn_into(command)
}

fn turn_into(command: &mut Command) -> anyhow::Result<ExitCode> {
    let program = command.get_program().to_owned();
    Err(command.exec()).with_context(|| format!("starting {}", program.display()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::case::Tier;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_after_two_dashes_are_passed_on() {
        let cli = Cli::parse_from(["e2e", "kubectl", "--", "get", "--all-namespaces"]);
        let Action::Kubectl { arguments } = cli.action else {
            panic!("not kubectl")
        };
        assert_eq!(arguments, ["get", "--all-namespaces"]);
    }

    #[test]
    fn a_tier_may_be_chosen() {
        let cli = Cli::parse_from(["e2e", "test", "--tier", "api", "smoke"]);
        let Action::Test(selection) = cli.action else {
            panic!("not test")
        };
        assert_eq!(selection.tiers(), [Tier::Api]);
    }
}
