//! Plays one manifest: applies it with kubectl, follows the pool to what is expected of it, removes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use local_cluster::target::Target;
use local_cluster::{command, node, wait};
use serde_json::Value;
use shared_types::conditions;
use shared_types::ops_request::OpsPhase;

use super::expectations::{Expectation, Fact};
use super::{Example, Verdict};
use crate::scene::Scene;
use crate::scene::database::Database;
use crate::workspace::Workspace;

/// Time for a pool to be ready: its pods start on a node that starts others as well.
const READY: Duration = Duration::from_mins(3);
/// Time for a request to be carried out.
const CARRIED: Duration = Duration::from_mins(5);
/// Time for facts that follow from that.
const SOON: Duration = Duration::from_mins(2);
/// The taint that the examples tolerate, or do not.
const TAINT: &str = "key1=node1:NoSchedule";

impl Expectation {
    /// A pool is followed.
    #[must_use]
    pub fn is_a_pool(self) -> bool {
        matches!(
            self,
            Self::Ready(_) | Self::Waits(..) | Self::ReadyOnTainted | Self::WaitsOnTainted(_)
        )
    }

    /// It needs a node with a taint.
    #[must_use]
    pub fn needs_taint(self) -> bool {
        matches!(self, Self::ReadyOnTainted | Self::WaitsOnTainted(_))
    }
}

/// Plays manifests in one cluster.
pub struct Player<'a> {
    /// A client that may do everything.
    pub client: Client,
    target: &'a Target,
    kubectl: PathBuf,
    database: &'a Database,
}

impl<'a> Player<'a> {
    /// Makes one.
    pub fn new(
        workspace: &Workspace,
        target: &'a Target,
        client: Client,
        database: &'a Database,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client,
            target,
            kubectl: workspace.kubectl(target)?,
            database,
        })
    }

    /// Applies a manifest as it is, and tells what became of it; if it is a pool, the same of the requests about it.
    pub async fn play(&self, example: &Example, requests: &[Example]) -> Vec<Verdict> {
        let seen = match example.expectation {
            None => Err(anyhow::anyhow!("nobody knows what is expected of it")),
            Some(Expectation::Foreign) => Ok("not ours: the kind is not served here".to_owned()),
            Some(Expectation::Referred) => self.apply(&example.file).await.map(|()| "accepted".to_owned()),
            Some(Expectation::Carried(..)) => Err(anyhow::anyhow!("its pool is not among the manifests")),
            Some(expectation) => return self.pool(example, expectation, requests).await,
        };
        Self::verdict(example, seen)
    }

    fn verdict(example: &Example, seen: anyhow::Result<String>) -> Vec<Verdict> {
        vec![Verdict {
            manifest: example.name.clone(),
            expected: seen.is_ok(),
            seen: seen.unwrap_or_else(|error| format!("{error:#}")),
        }]
    }

    /// Plays those that need a node with a taint. Only the local cluster has a node that is ours.
    pub async fn play_tainted(&self, examples: &[Example]) -> Vec<Verdict> {
        if examples.is_empty() {
            return Vec::new();
        }
        let ours = matches!(self.target, Target::Local(_));
        let tainted = if ours {
            self.kubectl(&["taint", "node", node::NAME, TAINT]).await
        } else {
            Err(anyhow::anyhow!(
                "not tried: it needs a node with the taint {TAINT}"
            ))
        };
        let mut verdicts = Vec::new();
        for example in examples {
            match &tainted {
                Ok(()) => verdicts.extend(self.play(example, &[]).await),
                Err(error) => verdicts.push(Verdict {
                    manifest: example.name.clone(),
                    expected: !ours,
                    seen: format!("{error:#}"),
                }),
            }
        }
        if tainted.is_ok()
            && let Err(error) = self
                .kubectl(&["taint", "node", node::NAME, &format!("{TAINT}-")])
                .await
        {
            verdicts.push(Verdict {
                manifest: "the node".to_owned(),
                expected: false,
                seen: format!("it keeps its taint: {error:#}"),
            });
        }
        verdicts
    }

    async fn pool(&self, example: &Example, expectation: Expectation, requests: &[Example]) -> Vec<Verdict> {
        let followed = self.follow(example, expectation).await;
        let mut verdicts = Vec::new();
        for request in requests {
            let seen = match &followed {
                Ok(_) => self.carried(request).await,
                Err(_) => Err(anyhow::anyhow!("its pool is not as expected")),
            };
            verdicts.extend(Self::verdict(request, seen));
        }
        let removed = self.remove(&example.file).await;
        let seen = followed.and_then(|seen| {
            removed.context("it was as expected, and does not go away")?;
            Ok(seen)
        });
        verdicts.extend(Self::verdict(example, seen));
        verdicts
    }

    async fn follow(&self, example: &Example, expectation: Expectation) -> anyhow::Result<String> {
        self.apply(&example.file).await?;
        let (namespace, name) = identity(&example.file)?;
        let scene = Scene::existing(&self.client, &namespace);
        follow(&scene, &name, self.database, expectation).await
    }

    /// Waits until a request is carried out, and looks at its pool.
    async fn carried(&self, request: &Example) -> anyhow::Result<String> {
        let Some(Expectation::Carried(_, _, facts)) = request.expectation else {
            bail!("it is no request")
        };
        self.apply(&request.file).await?;
        let (namespace, name) = identity(&request.file)?;
        let scene = Scene::existing(&self.client, &namespace);
        scene
            .operation_is(&name, OpsPhase::Successful, "Successful", CARRIED)
            .await?;
        let pool = scene.operation(&name).await?.spec.database_ref.name;
        let seen = follow(&scene, &pool, self.database, Expectation::Ready(facts)).await?;
        let file = request.file.to_string_lossy();
        self.kubectl(&["delete", "--timeout=60s", "--filename", &file])
            .await?;
        Ok(format!("Successful, and its pool is {seen}"))
    }

    async fn apply(&self, file: &Path) -> anyhow::Result<()> {
        let file = file.to_string_lossy();
        self.kubectl(&["apply", "--server-side", "--validate=strict", "--filename", &file])
            .await
    }

    /// Deletes it and waits for the end, since others have the same name.
    async fn remove(&self, file: &Path) -> anyhow::Result<()> {
        let (namespace, name) = identity(file)?;
        let scene = Scene::existing(&self.client, &namespace);
        let file = file.to_string_lossy();
        self.kubectl(&["delete", "--timeout=60s", "--filename", &file])
            .await?;
        wait::gone(&scene.api::<StatefulSet>(), &name, READY).await?;
        wait::gone(&scene.api::<Pod>(), &format!("{name}-0"), READY).await
    }

    async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = self.target.command(&self.kubectl);
        command
            .args(arguments)
            .env("KUBECONFIG", self.target.kubeconfig());
        tokio::task::spawn_blocking(move || command::output(&mut command)).await??;
        Ok(())
    }
}

/// Follows a pool to what is expected of it, and tells that in words.
///
/// # Errors
/// What is not as expected, with all that its conditions say.
pub async fn follow(
    scene: &Scene,
    name: &str,
    database: &Database,
    expectation: Expectation,
) -> anyhow::Result<String> {
    let (words, facts): (&[&str], &[Fact]) = match expectation {
        Expectation::Ready(facts) => (&[], facts),
        Expectation::Waits(words, facts) => (words, facts),
        Expectation::WaitsOnTainted(words) => (words, &[]),
        Expectation::ReadyOnTainted => (&[], &[]),
        _ => bail!("{name} is no pool"),
    };
    let seen = if words.is_empty() {
        scene.ready(name, READY).await?;
        "Ready".to_owned()
    } else {
        waiting(scene, name, words).await?
    };
    for fact in facts {
        let what = format!("{fact:?}");
        let checked = wait::until(&what, SOON, async || fact.check(scene, name, database).await).await;
        if let Err(error) = checked {
            return Err(error).context(scene.told(name).await?);
        }
    }
    Ok(match facts.len() {
        0 => seen,
        count => format!("{seen}; {count} facts hold"),
    })
}

/// Waits until a condition of the pool says all of the words, and returns it.
async fn waiting(scene: &Scene, name: &str, words: &[&str]) -> anyhow::Result<String> {
    wait::until(&format!("{name} says {words:?}"), READY, async || {
        let pgpool = scene.pgpool(name).await?;
        let status = pgpool.status.as_ref().context("no status yet")?;
        ensure!(
            !conditions::is_true(&status.conditions, conditions::ConditionType::Ready),
            "it is ready"
        );
        let told = status
            .conditions
            .iter()
            .find(|condition| words.iter().all(|word| condition.message.contains(word)));
        match told {
            Some(condition) => Ok(format!("{}: {}", condition.reason, condition.message)),
            None => bail!("{}", scene.told(name).await?),
        }
    })
    .await
}

/// The namespace and the name of a pool, in one word; the same for those that must not be there together.
#[must_use]
pub fn pool_of(example: &Example) -> String {
    identity(&example.file).map_or_else(
        |_| example.name.clone(),
        |(namespace, name)| format!("{namespace}/{name}"),
    )
}

fn identity(file: &Path) -> anyhow::Result<(String, String)> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let value: Value = serde_yaml::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
    let field = |key: &str| value["metadata"][key].as_str().map(str::to_owned);
    let name = field("name").with_context(|| format!("{} names nothing", file.display()))?;
    Ok((field("namespace").unwrap_or_else(|| "default".to_owned()), name))
}
