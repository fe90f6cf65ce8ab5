//! The demonstration: from nothing to a query through a pool with verified TLS, with the ten steps as they
//! happen. What it made stays, to be looked at.

mod flow;
mod steps;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kube::Client;
use local_cluster::diagnostics;
use local_cluster::progress::Elapsed;
use local_cluster::target::Target;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::operators;
use crate::scene::database::Database;
use crate::scene::fixtures::{self, ISSUER, POOL};
use crate::scene::pool::is_ready;
use crate::scene::psql::Attempt;
use crate::scene::sightings::{Board, Sightings};
use crate::scene::{Scene, offer_version};
use crate::workspace::Workspace;

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

    /// Of the last one that succeeded from this source tree.
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
    let step = workspace.progress.step("start a PostgreSQL");
    let database = Database::start(client, "demo-postgres").await?;
    step.done();
    let scene = Scene::create(client, "demo").await?;
    let played = async {
        let reader = flow::Reader::introduce(&scene).await?;
        // The reader's certificate is issued while the pool is made.
        watch_steps(&scene, &database).await?;
        reader.tell(&scene).await?;
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

/// Does the two things that a user does, and tells what follows from them.
async fn watch_steps(scene: &Scene, database: &Database) -> anyhow::Result<()> {
    println!(
        "\nA user creates an issuer and a Pgpool in the namespace {}; PostgreSQL is in {}.\n",
        scene.namespace(),
        database.scene().namespace()
    );
    let mut sightings = Sightings::start(scene).await?;
    let begin = Instant::now();
    scene.apply(ISSUER).await?;
    scene
        .put(&fixtures::pgpool(database.scene().namespace())?)
        .await?;
    let told = tokio::time::timeout(READY, tell_steps(&mut sightings, begin)).await;
    let Ok(told) = told else {
        bail!(
            "{POOL} is not ready after {}: {}",
            Elapsed(READY),
            scene.told(POOL).await?
        )
    };
    told
}

/// Prints each step when it is seen, in the order in which they happen, until the pool is ready.
async fn tell_steps(sightings: &mut Sightings, begin: Instant) -> anyhow::Result<()> {
    let mut board = Board::default();
    let mut told = [false; steps::STEPS.len()];
    loop {
        let sighting = sightings.next().await?;
        board.see(&sighting);
        let after = sighting.at.saturating_duration_since(begin).as_secs_f64();
        let shown = steps::shown(&board, POOL);
        for ((number, (actor, title)), (shown, told)) in
            (1..).zip(steps::STEPS).zip(shown.into_iter().zip(&mut told))
        {
            if let Some(shown) = shown.filter(|_| !*told) {
                println!("{number:>4} {after:>6.2} s  {actor:<12}  {title}: {shown}");
                *told = true;
            }
        }
        if sighting.kind == "Pgpool" && is_ready(&sighting.object.try_parse()?) {
            println!(
                "     {after:>6.2} s  {:<12}  Ready: every pod accepts logins and serves its certificate\n",
                ""
            );
            return Ok(());
        }
    }
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
    wrong
        .expect_refusal("certificate verify failed")
        .context("a wrong CA")?;
    Ok(())
}
