//! Applies one manifest with kubectl, follows its Pgpool to the expected state, and deletes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use serde_json::Value;
use shared_types::conditions;
use shared_types::ops_request::OpsPhase;

use super::expectations::{Expectation, Fact};
use super::prerequisites::AUTHOR;
use super::{Example, Verdict};
use crate::namespace::TestNamespace;
use crate::namespace::database::Database;
use crate::workspace::Workspace;
use local_cluster::command;
use local_cluster::node;
use local_cluster::target::Target;
use local_cluster::wait;

/// Time for a pool to become ready: its pods start on a node that starts others as well.
const READY: Duration = Duration::from_mins(3);
const SUCCESSFUL: Duration = Duration::from_mins(5);
const SOON: Duration = Duration::from_mins(2);
/// The taint that the examples tolerate, or do not.
const TAINT: &str = "key1=node1:NoSchedule";

pub(crate) struct Follower<'a> {
    pub(crate) client: Client,
    target: &'a Target,
    kubectl: PathBuf,
    database: &'a Database,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(
        workspace: &Workspace,
        target: &'a Target,
        client: Client,
        database: &'a Database,
    ) -> anyhow::Result<Self> {
        let kubectl = workspace.kubectl(target)?;
        Ok(Self {
            client,
            target,
            kubectl,
            database,
        })
    }

    /// Applies a manifest as it is, then, if it is a pool, the requests for it.
    pub(crate) async fn follow(&self, example: &Example, requests: &[Example]) -> Vec<Verdict> {
        let seen = match &example.expectation {
            None => Err(anyhow!("the table does not have it")),
            Some(Expectation::NotServed) => Ok("not applied: the kind is not served here".to_owned()),
            Some(Expectation::Referred) => self.apply(&example.file).await.map(|()| "accepted".to_owned()),
            Some(Expectation::Successful(..)) => Err(anyhow!("its pool is not among the manifests")),
            Some(expectation) => return self.pool(example, expectation, requests).await,
        };
        vec![Verdict::new(&example.name, seen)]
    }

    /// Follows pools that need a node with a taint. Only the local cluster has a node that may get one.
    pub(crate) async fn follow_tainted(&self, examples: &[Example]) -> Vec<Verdict> {
        if examples.is_empty() {
            return Vec::new();
        }
        if !matches!(self.target, Target::Local(_)) {
            let skipped = format!("not applied: it needs a node with the taint {TAINT}");
            let each = examples
                .iter()
                .map(|example| Verdict::new(&example.name, Ok(skipped.clone())));
            return each.collect();
        }
        let mut verdicts = Vec::new();
        let tainted = self.kubectl(&["taint", "node", node::NAME, TAINT]).await;
        for example in examples {
            match &tainted {
                Ok(()) => verdicts.extend(self.follow(example, &[]).await),
                Err(error) => verdicts.push(Verdict::new(&example.name, Err(anyhow!("{error:#}")))),
            }
        }
        let removed = self
            .kubectl(&["taint", "node", node::NAME, &format!("{TAINT}-")])
            .await;
        if tainted.is_ok() && removed.is_err() {
            let removed = removed.context("it keeps its taint").map(|()| String::new());
            verdicts.push(Verdict::new("the node", removed));
        }
        verdicts
    }

    async fn pool(&self, example: &Example, expectation: &Expectation, requests: &[Example]) -> Vec<Verdict> {
        let seen = self.apply_pool(example, expectation).await;
        let mut verdicts = Vec::new();
        for request in requests {
            let seen = match &seen {
                Ok(_) => self.request(request).await,
                Err(_) => Err(anyhow!("its pool is not as expected")),
            };
            verdicts.push(Verdict::new(&request.name, seen));
        }
        let deleted = self.delete_pool(&example.file).await;
        let seen = seen.and_then(|seen| {
            deleted.context("it was as expected, but is not deleted")?;
            Ok(seen)
        });
        verdicts.push(Verdict::new(&example.name, seen));
        verdicts
    }

    async fn apply_pool(&self, example: &Example, expectation: &Expectation) -> anyhow::Result<String> {
        let note = self.apply_as_author(&example.file).await?;
        let (namespace, name) = identity(&example.file)?;
        let ns = TestNamespace::existing(&self.client, &namespace);
        let seen = follow(&ns, &name, self.database, expectation).await?;
        Ok(format!("{seen}{note}"))
    }

    /// Waits until a request has succeeded, and checks its pool.
    async fn request(&self, request: &Example) -> anyhow::Result<String> {
        let Some(Expectation::Successful(_, _, facts)) = &request.expectation else {
            bail!("it is no request")
        };
        let note = self.apply_as_author(&request.file).await?;
        let (namespace, name) = identity(&request.file)?;
        let ns = TestNamespace::existing(&self.client, &namespace);
        let phase = OpsPhase::Successful;
        ns.operation_is(&name, phase, "Successful", SUCCESSFUL).await?;
        let pool = ns.operation(&name).await?.spec.database_ref.name;
        let ready = Expectation::Ready(facts.clone());
        let seen = follow(&ns, &pool, self.database, &ready).await?;
        self.delete(&request.file).await?;
        Ok(format!("Successful, and its pool is {seen}{note}"))
    }

    async fn apply(&self, file: &Path) -> anyhow::Result<()> {
        let file = file.to_string_lossy();
        self.kubectl(&["apply", "--server-side", "--validate=strict", "--filename", &file])
            .await
    }

    /// Applies a pool or a request as somebody who may create pods and certificates in the namespace. What a policy refuses
    /// to that user is applied by an administrator.
    ///
    /// Returns why, to be added to what was seen; nothing if the user could.
    async fn apply_as_author(&self, file: &Path) -> anyhow::Result<String> {
        let path = file.to_string_lossy();
        let arguments = [
            "apply",
            "--server-side",
            "--validate=strict",
            "--as",
            AUTHOR,
            "--filename",
            &path,
        ];
        let Err(error) = self.kubectl(&arguments).await else {
            return Ok(String::new());
        };
        let text = format!("{error:#}");
        let Some((_, refusal)) = text.split_once("denied request: ") else {
            return Err(error);
        };
        let why = refusal.lines().next().unwrap_or_default().trim().to_owned();
        self.apply(file).await?;
        Ok(format!(", applied by an administrator: {why}"))
    }

    async fn delete(&self, file: &Path) -> anyhow::Result<()> {
        let file = file.to_string_lossy();
        self.kubectl(&["delete", "--timeout=60s", "--filename", &file])
            .await
    }

    /// Deletes a pool and waits until its pods are gone, since other pools have the same name.
    async fn delete_pool(&self, file: &Path) -> anyhow::Result<()> {
        self.delete(file).await?;
        let (namespace, name) = identity(file)?;
        let ns = TestNamespace::existing(&self.client, &namespace);
        wait::gone(&ns.api::<StatefulSet>(), &name, READY).await?;
        wait::gone(&ns.api::<Pod>(), &format!("{name}-0"), READY).await
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

/// Waits until a Pgpool is in its expected state, and returns that in words.
///
/// # Errors
/// What is not as expected, with all conditions of the Pgpool.
pub(crate) async fn follow(
    ns: &TestNamespace,
    name: &str,
    database: &Database,
    expectation: &Expectation,
) -> anyhow::Result<String> {
    let (words, facts): (&[String], &[Fact]) = match expectation {
        Expectation::Ready(facts) => (&[], facts),
        Expectation::Waiting(words, facts) => (words, facts),
        Expectation::WaitingOnTainted(words) => (words, &[]),
        Expectation::ReadyOnTainted => (&[], &[]),
        _ => bail!("{name} is no pool"),
    };
    let seen = if words.is_empty() {
        ns.ready(name, READY).await?;
        "Ready".to_owned()
    } else {
        waiting(ns, name, words).await?
    };
    for fact in facts {
        let what = format!("{fact:?}");
        let checked = wait::until(&what, SOON, async || fact.check(ns, name, database).await).await;
        if let Err(error) = checked {
            return Err(error).context(ns.conditions(name).await?);
        }
    }
    Ok(match facts.len() {
        0 => seen,
        count => format!("{seen}; {count} facts hold"),
    })
}

/// Waits until the message of one condition has all of the words, and returns that condition.
async fn waiting(ns: &TestNamespace, name: &str, words: &[String]) -> anyhow::Result<String> {
    wait::until(&format!("{name} waits for {words:?}"), READY, async || {
        let pgpool = ns.pgpool(name).await?;
        let status = pgpool.status.as_ref().context("no status yet")?;
        let ready = conditions::is_true(&status.conditions, conditions::ConditionType::Ready);
        ensure!(!ready, "it is ready");
        let mut found = status.conditions.iter();
        match found.find(|condition| words.iter().all(|word| condition.message.contains(word))) {
            Some(condition) => Ok(format!("{}: {}", condition.reason, condition.message)),
            None => bail!("{}", ns.conditions(name).await?),
        }
    })
    .await
}

/// The namespace and the name of the object in a file.
pub(crate) fn identity(file: &Path) -> anyhow::Result<(String, String)> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let value: Value = serde_yaml::from_str(&text).with_context(|| format!("reading {}", file.display()))?;
    let field = |key: &str| value["metadata"][key].as_str().map(str::to_owned);
    let name = field("name").with_context(|| format!("{} has no name", file.display()))?;
    Ok((field("namespace").unwrap_or_else(|| "default".to_owned()), name))
}
