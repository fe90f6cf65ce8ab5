//! The demonstration: from nothing to a query through a pool with verified TLS, with the ten steps as ops-manager reports
//! them on its channel. What it created stays, so that it can be looked at.

mod flow;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::operators;
use crate::scene::database::Database;
use crate::scene::fixtures::{self, ISSUER, POOL};
use crate::scene::psql::Attempt;
use crate::scene::{Scene, offer_version};
use crate::workspace::Workspace;
use local_cluster::diagnostics;
use local_cluster::progress::Elapsed;
use local_cluster::target::Target;

/// Time from the manifest to a pool that is ready.
const READY: Duration = Duration::from_mins(3);

/// What is kept of a demonstration, for the benchmark.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Record {
    /// How long all of it took.
    pub seconds: f64,
}

impl Record {
    const FILE: &'static str = "demo.json";

    /// The record of the last one that succeeded from this source tree.
    #[must_use]
    pub fn last(workspace: &Workspace) -> Option<Self> {
        let text = fs::read_to_string(workspace.results().join(Self::FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn keep(self, workspace: &Workspace) -> anyhow::Result<()> {
        fs::create_dir_all(workspace.results())?;
        fs::write(workspace.results().join(Self::FILE), json!(self).to_string()).context("keeping the time")
    }
}

/// Runs it in the local cluster, or in the one of `kubeconfig`.
pub fn run(workspace: &Workspace, kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    let begin = Instant::now();
    let target = workspace.prepare(kubeconfig)?;
    target.run(async {
        let client = target.client().await?;
        let scene = play(workspace, &client).await?;
        let kubectl = match target {
            Target::Local(_) => "cargo e2e kubectl --",
            Target::Existing(_) => "kubectl",
        };
        println!(
            "\nIt all stays: {kubectl} -n {} get pgpool,certificate,secret,pod\n",
            scene.namespace()
        );
        Ok(())
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    Record { seconds }.keep(workspace)?;
    println!("demo: ok in {seconds:.0} s");
    Ok(())
}

async fn play(workspace: &Workspace, client: &Client) -> anyhow::Result<Scene> {
    offer_version(client).await?;
    let database = Database::announced(workspace, client, "demo-postgres").await?;
    let scene = Scene::create(client, "demo").await?;
    let played = async {
        let step = workspace
            .progress
            .step("get a certificate to read the channel with");
        let reader = flow::Reader::create(&scene).await?;
        step.done();
        print_steps(&scene, &database, &reader).await?;
        reader.delete().await?;
        query(&scene, &database).await
    };
    let Err(error) = played.await else {
        return Ok(scene);
    };
    let file = workspace.results().join("demo.txt");
    let namespaces = [
        scene.namespace(),
        database.scene().namespace(),
        operators::NAMESPACE,
    ];
    diagnostics::dump(client, &namespaces, &file).await?;
    Err(error).with_context(|| format!("the demonstration failed; see {}", file.display()))
}

/// Creates what a user creates, and prints what follows from it until the pool is ready.
async fn print_steps(scene: &Scene, database: &Database, reader: &flow::Reader) -> anyhow::Result<()> {
    println!(
        "\nA user creates an issuer and a Pgpool in the namespace {}; PostgreSQL is in {}. ops-manager reports:\n",
        scene.namespace(),
        database.scene().namespace()
    );
    let begin = Instant::now();
    scene.apply(ISSUER).await?;
    scene
        .put(&fixtures::pgpool(database.scene().namespace())?)
        .await?;
    let printed = tokio::time::timeout(READY, reader.print_steps(scene, begin)).await;
    let ready = READY.saturating_sub(begin.elapsed());
    match printed {
        Ok(printed) => printed?,
        Err(_) => bail!(
            "{POOL} is not ready after {}: {}",
            Elapsed(READY),
            scene.told(POOL).await?
        ),
    }
    scene.ready(POOL, ready).await?;
    println!(
        "     {:>6.2} s  {:<12}  Ready: every pod accepts logins and serves its certificate\n",
        begin.elapsed().as_secs_f64(),
        ""
    );
    Ok(())
}

/// Queries the database through the pool, as an application would.
async fn query(scene: &Scene, database: &Database) -> anyhow::Result<()> {
    let attempts = [
        Attempt::verify_full(),
        Attempt::plain(),
        Attempt::wrong_authority(),
    ];
    let outcomes = scene.psql(POOL, database, &attempts).await?;
    println!(
        "psql, in a pod of its own, through the Service {POOL}.{}.svc:9999",
        scene.namespace()
    );
    for (attempt, outcome) in attempts.iter().zip(&outcomes) {
        let verdict = if outcome.status == 0 {
            "works"
        } else {
            "is refused"
        };
        println!("  {} {verdict}", attempt.title);
        outcome.said.lines().for_each(|line| println!("    {line}"));
    }
    let [verified, plain, wrong] = outcomes.as_slice() else {
        bail!("psql did not run three times")
    };
    verified.expect_row().context("verify-full")?;
    plain.expect_refusal("SSL off").context("plain text")?;
    let refusal = wrong.expect_refusal("certificate verify failed");
    refusal.context("a wrong CA")
}
