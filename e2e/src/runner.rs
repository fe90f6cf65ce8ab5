//! Runs tests tier by tier, from the one that needs least to the one that needs most, and counts them.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams};
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::{command, diagnostics, manifests};

use crate::case::shared_fixtures::SharedFixtures;
use crate::case::{Case, Context, Place, Tier};
use crate::cases;
use crate::operators;
use crate::workspace::Workspace;

/// Time for one case. Each wait in a case has its own, shorter limit; this one is for what hangs elsewhere.
const LIMIT: Duration = Duration::from_mins(20);

/// Which tests, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Only the tests of this tier; all of them otherwise.
    #[arg(long, value_enum)]
    tier: Option<Tier>,

    /// Cases that run at once.
    #[arg(long, default_value_t = 4, env = "PGPOOL_E2E_JOBS")]
    jobs: usize,

    /// Keep the namespaces of failed cases.
    #[arg(long)]
    keep: bool,

    /// Only tests whose name contains this.
    filter: Option<String>,
}

impl Selection {
    /// The tiers, in the order in which they run.
    pub(crate) fn tiers(&self) -> Vec<Tier> {
        self.tier
            .map_or_else(|| vec![Tier::Unit, Tier::Api, Tier::Cluster], |tier| vec![tier])
    }

    fn cases(&self, tier: Tier, workspace: &Workspace) -> anyhow::Result<Vec<Case>> {
        let filter = self.filter.as_deref().unwrap_or_default();
        let mut cases = cases::all(&workspace.root)?;
        cases.retain(|case| case.tier == tier && case.name.contains(filter));
        Ok(cases)
    }
}

/// The number of passed and failed tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs the selected tests. The last line and the exit status report the result.
pub(crate) fn run(workspace: &Workspace, kubeconfig: Option<&Path>, selection: &Selection) -> ExitCode {
    let mut tally = Tally::default();
    for tier in selection.tiers() {
        let counted = match tier {
            Tier::Unit => unit(workspace, selection),
            Tier::Api => api(workspace, selection),
            Tier::Cluster => cluster(workspace, kubeconfig, selection),
        };
        match counted {
            Ok(counted) => tally.add(counted),
            Err(error) => {
                // A tier that does not start counts as one failure; the next tier runs all the same.
                workspace
                    .progress
                    .line(format_args!("FAILED the {tier:?} tier: {error:#}"));
                tally.failed += 1;
            }
        }
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn unit(workspace: &Workspace, selection: &Selection) -> anyhow::Result<Tally> {
    let step = workspace.progress.step("test the crates");
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&workspace.root)
        .args(["test", "--locked", "--workspace", "--no-fail-fast"])
        .args(&selection.filter);
    let mut tally = Tally::default();
    let log = workspace.builder.cache.log("cargo-test")?;
    let ended = command::run_logged(&mut cargo, &log, |line| {
        if let Some(counted) = parse_result(line) {
            tally.add(counted);
        } else if line.starts_with("test ") && line.ends_with("FAILED") {
            step.line(line);
        }
        step.note(line);
    });
    if tally.failed > 0 {
        step.line(format_args!("see {}", log.display()));
    } else {
        // cargo also fails after a failed test, which is counted. Any other error is returned.
        ended?;
        step.done();
    }
    Ok(tally)
}

/// Reads the line with which each test program ends.
fn parse_result(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| {
        let part = counts.split("; ").find(|part| part.ends_with(what))?;
        part.split_once(' ')?.0.parse().ok()
    };
    Some(Tally {
        passed: count(" passed")?,
        failed: count(" failed")?,
    })
}

fn api(workspace: &Workspace, selection: &Selection) -> anyhow::Result<Tally> {
    let cases = selection.cases(Tier::Api, workspace)?;
    if cases.is_empty() {
        return Ok(Tally::default());
    }
    let programs = workspace.control_plane()?;
    let operators = workspace.compile_operators(operators::Profile::Debug)?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let step = workspace.progress.step("start a control plane");
        let plane = ControlPlane::start(&programs, CertManager::Running).await?;
        let charts = workspace.root.join("charts/crds");
        manifests::apply_crds(&plane.client(), &charts.join("files")).await?;
        manifests::apply_folder(&plane.client(), &charts.join("policies")).await?;
        step.done();
        let context = Context {
            client: plane.client(),
            namespace: String::new(),
            place: Place::Api(Arc::new(plane), programs),
            workspace: workspace.clone(),
            shared: Arc::new(SharedFixtures::new(operators)),
        };
        Ok(run_cases(&context, selection, cases).await)
    })
}

fn cluster(workspace: &Workspace, kubeconfig: Option<&Path>, selection: &Selection) -> anyhow::Result<Tally> {
    let cases = selection.cases(Tier::Cluster, workspace)?;
    if cases.is_empty() {
        return Ok(Tally::default());
    }
    let target = workspace.prepare(kubeconfig)?;
    target.run(async {
        let context = Context {
            client: target.client().await?,
            namespace: String::new(),
            place: Place::Cluster(target.clone()),
            workspace: workspace.clone(),
            shared: Arc::default(),
        };
        Ok(run_cases(&context, selection, cases).await)
    })
}

/// Runs the cases of one tier. Each gets a copy of `context` with a namespace of its own.
async fn run_cases(context: &Context, selection: &Selection, cases: Vec<Case>) -> Tally {
    let (alone, together): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.alone);
    let mut tally = Tally::default();
    for (jobs, cases) in [(selection.jobs.max(1), together), (1, alone)] {
        let runs = futures::stream::iter(cases).map(|case| run_case(context, selection.keep, case));
        let mut results = runs.buffer_unordered(jobs);
        while let Some(passed) = results.next().await {
            tally.passed += usize::from(passed);
            tally.failed += usize::from(!passed);
        }
    }
    context.shared.remove().await;
    tally
}

async fn run_case(context: &Context, keep: bool, case: Case) -> bool {
    let step = context.workspace.progress.step(case.name.as_ref());
    let context = Context {
        namespace: namespace(&case.name),
        ..context.clone()
    };
    let result = async {
        manifests::ensure_namespace(&context.client, &context.namespace).await?;
        // A task of its own, so that a panic ends the case and not the run.
        match tokio::time::timeout(LIMIT, tokio::spawn((case.run)(context.clone()))).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(anyhow!("it panicked: {panic}")),
            Err(_) => Err(anyhow!("it did not end within {} minutes", LIMIT.as_secs() / 60)),
        }
    };
    let result = result.await;
    let passed = result.is_ok();
    match result {
        Ok(()) => step.done(),
        Err(error) => {
            report(&context, &case.name, &error).await;
            drop(step);
        }
    }
    if passed || !keep {
        let api: Api<Namespace> = Api::all(context.client);
        // Does not wait for the deletion. If the API server is unavailable, the next case fails.
        let _ = api.delete(&context.namespace, &DeleteParams::default()).await;
    }
    passed
}

async fn report(context: &Context, case: &str, error: &anyhow::Error) {
    let progress = &context.workspace.progress;
    progress.line(format_args!("{case}: {error:#}"));
    let file = format!("{}.txt", case.replace("::", "-"));
    let file = context.workspace.results().join(file);
    let namespaces = [context.namespace.as_str(), operators::NAMESPACE];
    match diagnostics::dump(&context.client, &namespaces, &file).await {
        Ok(()) => progress.line(format_args!("{case}: see {}", file.display())),
        Err(error) => progress.line(format_args!("{case}: collecting diagnostics: {error:#}")),
    }
}

/// A name that no earlier run has used: its namespace may still be terminating.
fn namespace(case: &str) -> String {
    let name = case.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
    let short: String = name.replace("--", "-").chars().take(40).collect();
    let unique = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.subsec_nanos() ^ std::process::id());
    format!("e2e-{}-{unique:x}", short.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_cargo() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(
            parse_result(line),
            Some(Tally {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(
            parse_result("test result: ok. 1 passed; 0 failed; 0 ignored"),
            Some(Tally { passed: 1, failed: 0 })
        );
        assert_eq!(parse_result("test tests::one ... ok"), None);
    }

    #[test]
    fn a_namespace_has_a_valid_name() {
        let name = namespace("certificates::a_very_long_name_that_says_everything_about_the_case");
        assert!(name.len() <= 63, "{name}");
        assert!(name.chars().all(|character| character.is_ascii_lowercase()
            || character.is_ascii_digit()
            || character == '-'));
    }
}
