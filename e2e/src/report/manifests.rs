//! The manifests of `KubeDB`'s documentation, each applied unchanged with the strictest validation of the API server,
//! and followed to the state that the documentation promises. They are read from a folder of the user's: none is here.
//!
//! | Module | Concern |
//! |---|---|
//! | [`expectations`] | what each manifest must lead to |
//! | [`prerequisites`] | what the manifests refer to |
//! | [`facts`] | whether something holds of a pool |
//! | [`follow`] | applying one, following it, and deleting it |

pub(crate) mod expectations;
mod facts;
pub(crate) mod follow;
pub(crate) mod prerequisites;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use serde::Serialize;
use serde_json::json;

use crate::namespace::TestNamespace;
use crate::namespace::database::Database;
use crate::workspace::Workspace;
use expectations::Expectation;
use follow::Follower;
use local_cluster::target::Target;

/// Pools that are followed at once: their default is half a processor each, and a small node has two.
const AT_ONCE: usize = 2;

#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// Nothing when the table does not have it.
    pub(crate) expectation: Option<Expectation>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    pub(crate) manifest: String,
    pub(crate) expected: bool,
    /// What was seen, or why it is not as expected.
    pub(crate) seen: String,
}

impl Verdict {
    pub(crate) fn new(manifest: &str, seen: anyhow::Result<String>) -> Self {
        Self {
            manifest: manifest.to_owned(),
            expected: seen.is_ok(),
            seen: seen.unwrap_or_else(|error| format!("{error:#}")),
        }
    }
}

/// Applies all of them, prints a line for each, and writes the same for programs.
pub(crate) async fn report(
    workspace: &Workspace,
    target: &Target,
    folder: &Path,
) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let examples = read(folder)?;
    ensure!(
        !examples.is_empty(),
        "there is no manifest in {}",
        folder.display()
    );
    let client = target.client().await?;
    let database = Database::announced(workspace, &client, "report-postgres").await?;
    let follower = Follower::new(workspace, target, client, &database)?;
    let created = prerequisites::create(&follower.client, &database).await;
    let mut verdicts = Vec::new();
    if created.is_ok() {
        verdicts = follow_all(&follower, examples, workspace).await;
        // A namespace that existed before is not ours to delete.
        for name in [prerequisites::DEMO, prerequisites::POOL] {
            TestNamespace::existing(&follower.client, name).remove().await?;
        }
    }
    database.namespace().remove().await?;
    created?;
    let unexpected = verdicts.iter().filter(|verdict| !verdict.expected).count();
    let value = json!({
        "seconds": begin.elapsed().as_secs(),
        "manifests": verdicts.len(),
        "unexpected": unexpected,
        "verdicts": verdicts,
    });
    super::keep(workspace, "report-manifests", &value)?;
    print!("{}", rendered(&verdicts));
    println!("{} manifests, {unexpected} unexpected", verdicts.len());
    Ok(super::exit_code(unexpected))
}

/// Finds the manifests of a folder and of the folders in it.
fn read(folder: &Path) -> anyhow::Result<Vec<Example>> {
    let mut table = expectations::examples()?;
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("reading {}", next.display()))? {
            let file = entry?.path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|ending| ending == "yaml") {
                let name = file.strip_prefix(folder)?.with_extension("");
                let name = name.to_string_lossy().into_owned();
                let expectation = table.remove(&name);
                found.push(Example {
                    name,
                    file,
                    expectation,
                });
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// First what others refer to; then the pools, those of one name after each other, each with the requests for it; last
/// those that need a tainted node.
async fn follow_all(follower: &Follower<'_>, examples: Vec<Example>, workspace: &Workspace) -> Vec<Verdict> {
    let (mut requests, mut tainted): (BTreeMap<String, BTreeMap<u8, Example>>, _) =
        (BTreeMap::new(), Vec::new());
    let (mut pools, mut others) = (Vec::new(), Vec::new());
    for example in examples.iter().cloned() {
        match &example.expectation {
            Some(Expectation::Successful(pool, place, _)) if examples.iter().any(|it| it.name == *pool) => {
                let (pool, place) = (pool.clone(), *place);
                requests.entry(pool).or_default().insert(place, example);
            }
            Some(expectation) if expectation.needs_taint() => tainted.push(example),
            Some(expectation) if expectation.is_pool() => pools.push(example),
            _ => others.push(example),
        }
    }
    let mut verdicts = Vec::new();
    for example in &others {
        verdicts.extend(follower.follow(example, &[]).await);
    }
    let mut queues: BTreeMap<_, Vec<(Example, Vec<Example>)>> = BTreeMap::new();
    for pool in pools {
        let requests = requests.remove(&pool.name).unwrap_or_default();
        let name = follow::identity(&pool.file).unwrap_or_else(|_| (String::new(), pool.name.clone()));
        queues
            .entry(name)
            .or_default()
            .push((pool, requests.into_values().collect()));
    }
    let queues = futures::stream::iter(queues.into_values()).map(|queue| async move {
        let mut verdicts = Vec::new();
        for (pool, requests) in queue {
            let step = workspace.progress.step(&pool.name);
            verdicts.extend(follower.follow(&pool, &requests).await);
            step.done();
        }
        verdicts
    });
    verdicts.extend(
        queues
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<_>>()
            .await
            .concat(),
    );
    verdicts.extend(follower.follow_tainted(&tainted).await);
    verdicts.sort_by(|one, other| one.manifest.cmp(&other.manifest));
    verdicts
}

fn rendered(verdicts: &[Verdict]) -> String {
    let width = verdicts
        .iter()
        .map(|verdict| verdict.manifest.len())
        .max()
        .unwrap_or_default();
    let line = |verdict: &Verdict| {
        let mark = if verdict.expected { "  " } else { "! " };
        format!("{mark}{:<width$}  {}\n", verdict.manifest, verdict.seen)
    };
    verdicts.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_known_by_their_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("restart")).unwrap();
        for name in ["restart/pgpool.yaml", "vs.yaml", "new.yaml", "restart/README.md"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = read(folder.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|example| (example.name.as_str(), example.expectation.is_some()))
            .collect();
        assert_eq!(names, [("new", false), ("restart/pgpool", true), ("vs", true)]);
    }

    #[test]
    fn what_is_unexpected_is_marked() {
        let verdict = |manifest: &str, expected| Verdict {
            manifest: manifest.to_owned(),
            expected,
            seen: "Ready".to_owned(),
        };
        let text = rendered(&[verdict("a/b", true), verdict("c", false)]);
        assert_eq!(text, "  a/b  Ready\n! c    Ready\n");
    }
}
