//! Runs tests, tier by tier, from the one that needs least to the one that needs most, and counts.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, DeleteParams};
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::{command, diagnostics, manifests};

use crate::case::{Case, Context, Place, Tier};
use crate::cases::{self, Props};
use crate::operators;
use crate::workspace::Workspace;

/// Time for one case. Each wait inside has its own, shorter limit; this one is for what hangs elsewhere.
const LIMIT: Duration = Duration::from_mins(20);

/// Which tests, and how.
#[derive(Clone, Debug, Args)]
pub struct Selection {
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
    #[must_use]
    pub fn tiers(&self) -> Vec<Tier> {
        self.tier
            .map_or_else(|| vec![Tier::Unit, Tier::Api, Tier::Cluster], |tier| vec![tier])
    }

    fn cases(&self, tier: Tier, workspace: &Workspace) -> anyhow::Result<Vec<Case>> {
        let wanted = |case: &Case| {
            self.filter
                .as_ref()
                .is_none_or(|filter| case.name.contains(filter))
        };
        Ok(cases::all(&workspace.root)?
            .into_iter()
            .filter(|case| case.tier == tier && wanted(case))
            .collect())
    }
}

/// How many tests ended how.
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

/// Runs the selected tests. The last line tells how many passed and failed, and so does the exit status.
pub fn run(
    workspace: &Workspace,
    kubeconfig: Option<&Path>,
    selection: &Selection,
) -> anyhow::Result<ExitCode> {
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
                // A tier that does not even start is a failure like any other; the next one may still tell
                // something.
                workspace
                    .progress
                    .line(format_args!("FAILED the {tier:?} tier: {error:#}"));
                tally.failed += 1;
            }
        }
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn unit(workspace: &Workspace, selection: &Selection) -> anyhow::Result<Tally> {
    let step = workspace.progress.step("test the crates");
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(&workspace.root)
        .args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    cargo.args(&selection.filter);
    let mut tally = Tally::default();
    let log = workspace.cache.log("cargo-test")?;
    let ended = command::run_logged(&mut cargo, &log, |line| {
        if let Some(counted) = parse_result(line) {
            tally.add(counted);
        } else if line.starts_with("test ") && line.ends_with("FAILED") {
            workspace.progress.line(line);
        }
        step.note(line);
    });
    // A failed test makes cargo fail too, and is counted already; anything else is not.
    if let Err(error) = ended
        && tally.failed == 0
    {
        return Err(error);
    }
    if tally.failed > 0 {
        workspace.progress.line(format_args!("see {}", log.display()));
        drop(step);
    } else {
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
    let compiled = operators::compile(
        &workspace.root,
        operators::Profile::Debug,
        &workspace.cache,
        &workspace.progress,
    )?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let step = workspace.progress.step("start a control plane");
        let plane = ControlPlane::start(&programs, CertManager::Running).await?;
        let kinds = workspace.root.join("charts/crds/files");
        manifests::apply_crds(&plane.client(), &kinds).await?;
        let policies = workspace.root.join("charts/crds/policies");
        manifests::apply_folder(&plane.client(), &policies).await?;
        step.done();
        let client = plane.client();
        Ok(run_cases(
            &Shared {
                workspace,
                client,
                place: Place::Api(Arc::new(plane), programs),
                selection,
                props: Arc::new(Props::new(compiled)),
            },
            cases,
        )
        .await)
    })
}

fn cluster(workspace: &Workspace, kubeconfig: Option<&Path>, selection: &Selection) -> anyhow::Result<Tally> {
    let cases = selection.cases(Tier::Cluster, workspace)?;
    if cases.is_empty() {
        return Ok(Tally::default());
    }
    let target = workspace.prepare(kubeconfig)?;
    target.run(async {
        let client = target.client().await?;
        Ok(run_cases(
            &Shared {
                workspace,
                client,
                place: Place::Cluster(target.clone()),
                selection,
                props: Arc::default(),
            },
            cases,
        )
        .await)
    })
}

/// What all cases of a tier have in common.
struct Shared<'a> {
    workspace: &'a Workspace,
    client: Client,
    place: Place,
    selection: &'a Selection,
    props: Arc<Props>,
}

async fn run_cases(shared: &Shared<'_>, cases: Vec<Case>) -> Tally {
    let (alone, together): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| case.alone);
    let mut tally = Tally::default();
    for (jobs, cases) in [(shared.selection.jobs.max(1), together), (1, alone)] {
        let runs = futures::stream::iter(cases).map(|case| run_case(shared, case));
        let results: Vec<bool> = runs.buffer_unordered(jobs).collect().await;
        let passed = results.iter().filter(|passed| **passed).count();
        tally.add(Tally {
            passed,
            failed: results.len() - passed,
        });
    }
    shared.props.remove().await;
    tally
}

async fn run_case(shared: &Shared<'_>, case: Case) -> bool {
    let step = shared.workspace.progress.step(case.name.as_ref());
    let namespace = namespace(&case.name);
    let context = Context {
        client: shared.client.clone(),
        namespace: namespace.clone(),
        place: shared.place.clone(),
        workspace: shared.workspace.clone(),
        props: Arc::clone(&shared.props),
    };
    let result = async {
        manifests::ensure_namespace(&shared.client, &namespace).await?;
        // A task of its own, so that a panic ends the case and not the run.
        match tokio::time::timeout(LIMIT, tokio::spawn((case.run)(context))).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(anyhow!("it panicked: {panic}")),
            Err(_) => Err(anyhow!("it takes too long")),
        }
    };
    let error = result.await.err();
    if let Some(error) = &error {
        report(shared, &case.name, &namespace, error).await;
        drop(step);
    } else {
        step.done();
    }
    if error.is_none() || !shared.selection.keep {
        let api: Api<Namespace> = Api::all(shared.client.clone());
        // Nobody waits for its end; one that cannot even be asked for shows in the next case.
        api.delete(&namespace, &DeleteParams::default()).map(drop).await;
    }
    error.is_none()
}

async fn report(shared: &Shared<'_>, case: &str, namespace: &str, error: &anyhow::Error) {
    let progress = &shared.workspace.progress;
    progress.line(format_args!("{case}: {error:#}"));
    let file = shared
        .workspace
        .results()
        .join(format!("{}.txt", case.replace("::", "-")));
    let namespaces = [namespace, operators::NAMESPACE];
    match diagnostics::dump(&shared.client, &namespaces, &file)
        .await
        .context("collecting what helps")
    {
        Ok(()) => progress.line(format_args!("{case}: see {}", file.display())),
        Err(error) => progress.line(format_args!("{case}: {error:#}")),
    }
}

/// A namespace that no earlier run can have left behind half deleted.
fn namespace(case: &str) -> String {
    let short: String = case
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character
            } else {
                '-'
            }
        })
        .collect();
    let unique = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |time| time.subsec_nanos() ^ std::process::id());
    let short: String = short.replace("--", "-").chars().take(40).collect();
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
        let name = namespace("certificates::a_very_long_name_that_tells_everything_about_the_case");
        assert!(name.len() <= 63, "{name}");
        assert!(name.chars().all(|character| character.is_ascii_lowercase()
            || character.is_ascii_digit()
            || character == '-'));
    }
}
