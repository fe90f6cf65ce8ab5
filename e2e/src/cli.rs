//! The command line.

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

/// A local Kubernetes cluster with the two operators: demo, tests, benchmarks.
#[derive(Debug, Parser)]
#[command(name = "cargo e2e", bin_name = "cargo e2e", version)]
pub(crate) struct Cli {
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

    /// Cache builds in this folder instead of `pgpool-operators` in the user's cache folder.
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

    /// Fail at once when another command uses the local cluster, instead of waiting until it ends.
    #[arg(
        long,
        global = true,
        value_parser = FalseyValueParser::new(),
        env = "PGPOOL_E2E_NO_WAIT"
    )]
    no_wait: bool,

    /// The process that holds the lock of the cluster for this one: set by `exec`.
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
    /// Run the demo: start the cluster and the operators, create a Pgpool with TLS, run a query through it.
    Demo,
    /// Start the local cluster with both operators.
    Up {
        /// Do not install the operators.
        #[arg(long)]
        no_operators: bool,
    },
    /// Remove the local cluster and everything it left on the machine.
    Down,
    /// Empty the cache of builds.
    Clean,
    /// Run kubectl on the cluster.
    Kubectl {
        /// The arguments of kubectl.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run a command in the network of the cluster, with KUBECONFIG set, and kubectl and helm on its PATH.
    Exec {
        /// The command and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
    /// Run the tests, and print how many passed and failed.
    Test(runner::Selection),
    /// Run a benchmark, print its figures, and write them to target/e2e.
    Bench {
        /// What to measure.
        benchmark: Benchmark,

        /// How many pools `memory` creates.
        #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
        pools: usize,
    },
    /// Rotate certificates again and again under load, and print the failures.
    Soak(Soak),
    /// Test many combinations in the cluster, print the results as a table, and write it to target/e2e.
    Report {
        /// What to report.
        #[command(subcommand)]
        report: Report,
    },
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { settings, action } = self;
        let cache = Cache::locate(settings.cache.as_deref(), settings.xdg_cache_home.as_deref())?;
        let kubeconfig = settings.kubeconfig.as_deref();
        if kubeconfig.is_some() && matches!(action, Action::Up { .. } | Action::Down | Action::Clean) {
            bail!("up, down and clean manage the local cluster only: remove --kubeconfig");
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
            Action::Test(selection) => return Ok(runner::run(&workspace, kubeconfig, &selection)),
            Action::Soak(soak) => return soak::run(&workspace, kubeconfig, &soak),
            Action::Report { report } => return report::run(&workspace, kubeconfig, &report),
            Action::Bench { benchmark, pools } => bench::run(&workspace, kubeconfig, benchmark, pools)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn up(workspace: &Workspace, with_operators: bool) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    let cluster = workspace.up(with_operators)?;
    workspace.progress.line(format_args!(
        "the cluster is ready after {}; try: cargo e2e kubectl -- get pods -A\nkubeconfig: {} (inside `cargo e2e exec`)",
        Elapsed(start.elapsed()),
        cluster.kubeconfig().display(),
    ));
    Ok(())
}

fn clean(workspace: &Workspace) -> anyhow::Result<()> {
    if Cluster::find()?.is_some() {
        bail!("the running cluster uses the cache: run `cargo e2e down` first");
    }
    workspace.builder.cache.clean()?;
    workspace.progress.line(format_args!(
        "removed {}",
        workspace.builder.cache.root().display()
    ));
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
    run_instead(workspace, &target, &mut command)
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
    run_instead(workspace, &target, &mut command)
}

/// Replaces this process with the command, so that terminal, signals and exit status are those of the command.
///
/// It holds the lock of the local cluster if the lock is free. Otherwise it runs all the same, so that users can inspect
/// what another command is doing.
fn run_instead(workspace: &Workspace, target: &Target, command: &mut Command) -> anyhow::Result<ExitCode> {
    if let (Target::Local(_), None) = (target, workspace.lock.holder) {
        match ClusterLock::try_acquire()? {
            Ok(lock) => {
                lock.pass_to(command)?;
                return replace_process(command);
            }
            Err(holder) => workspace.progress.line(format_args!("note: {holder}")),
        }
    }
    replace_process(command)
}

fn replace_process(command: &mut Command) -> anyhow::Result<ExitCode> {
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
