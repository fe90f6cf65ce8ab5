//! The manifests of `KubeDB`'s documentation, each applied as it stands with the strictest validation that the API server
//! has, and followed to the state that the documentation promises. They are read from a folder of the user's: none is here.
//!
//! | Module | Concern |
//! |---|---|
//! | [`expectations`] | what each manifest is to lead to |
//! | [`ground`] | what the manifests refer to |
//! | [`facts`] | whether something holds of a pool |
//! | [`play`] | applying one, following it, and removing it |

pub mod expectations;
pub mod facts;
pub mod ground;
pub mod play;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use local_cluster::target::Target;
use serde::Serialize;
use serde_json::json;

use crate::scene::Scene;
use crate::scene::database::Database;
use crate::workspace::Workspace;
use expectations::{EXAMPLES, Expectation};
use play::Player;

/// Pools that are followed at once: their default is half a processor each, and a small node has two.
const AT_ONCE: usize = 2;

/// One manifest.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its path below the folder, without ending.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
    /// What it is to lead to; nothing when nobody knows it.
    pub expectation: Option<Expectation>,
}

/// What became of a manifest.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The manifest.
    pub manifest: String,
    /// It is as expected.
    pub expected: bool,
    /// What was seen, or why it is not as expected.
    pub seen: String,
}

/// Applies all of them, prints a line for each, and leaves the same for programs.
pub async fn report(workspace: &Workspace, target: &Target, folder: &Path) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let examples = read(folder)?;
    ensure!(
        !examples.is_empty(),
        "there is no manifest in {}",
        folder.display()
    );
    let client = target.client().await?;
    let step = workspace.progress.step("start a PostgreSQL");
    let database = Database::start(&client, "report-postgres").await?;
    step.done();
    let player = Player::new(workspace, target, client, &database)?;
    let played = async {
        ground::prepare(&player.client, &database).await?;
        Ok(play_all(&player, examples, workspace).await)
    };
    let played: anyhow::Result<Vec<Verdict>> = played.await;
    // Nobody waits for their end. A namespace that was there before is not ours to remove.
    if played.is_ok() {
        for name in [ground::DEMO, ground::POOL] {
            Scene::existing(&player.client, name).remove().await?;
        }
    }
    database.scene().remove().await?;
    let verdicts = played?;
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
    Ok(if unexpected == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Finds the manifests of a folder and of the folders in it.
fn read(folder: &Path) -> anyhow::Result<Vec<Example>> {
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
                let expectation = expectations::of(EXAMPLES, &name);
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

/// First what others refer to, then the pools, those of one name after each other, each with the requests about it, last
/// those that need a tainted node.
async fn play_all(player: &Player<'_>, examples: Vec<Example>, workspace: &Workspace) -> Vec<Verdict> {
    let (pools, others): (Vec<_>, Vec<_>) = examples
        .into_iter()
        .partition(|example| example.expectation.is_some_and(Expectation::is_a_pool));
    let mut requests: BTreeMap<&'static str, Vec<(u8, Example)>> = BTreeMap::new();
    let mut verdicts = Vec::new();
    for example in others {
        match example.expectation {
            Some(Expectation::Carried(pool, place, _)) if pools.iter().any(|it| it.name == pool) => {
                requests.entry(pool).or_default().push((place, example));
            }
            _ => verdicts.extend(player.play(&example, &[]).await),
        }
    }
    for of_pool in requests.values_mut() {
        of_pool.sort_by_key(|(place, _)| *place);
    }
    let requests_of = |pool: &str| {
        let all = requests.get(pool).into_iter().flatten();
        all.map(|(_, request)| request.clone()).collect::<Vec<_>>()
    };
    let (tainted, plain): (Vec<_>, Vec<_>) = pools
        .into_iter()
        .partition(|example| example.expectation.is_some_and(Expectation::needs_taint));
    let mut queues: BTreeMap<String, Vec<Example>> = BTreeMap::new();
    for example in plain {
        queues.entry(play::pool_of(&example)).or_default().push(example);
    }
    let queues = queues.into_values().map(|queue| {
        let with_requests = queue
            .into_iter()
            .map(|example| (requests_of(&example.name), example));
        with_requests.collect::<Vec<_>>()
    });
    let queues = futures::stream::iter(queues).map(|queue| async move {
        let mut verdicts = Vec::new();
        for (requests, example) in queue {
            let step = workspace.progress.step(&example.name);
            verdicts.extend(player.play(&example, &requests).await);
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
    verdicts.extend(player.play_tainted(&tainted).await);
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
        let Verdict {
            manifest,
            expected,
            seen,
        } = verdict;
        let mark = if *expected { "  " } else { "! " };
        format!("{mark}{manifest:<width$}  {seen}\n")
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
