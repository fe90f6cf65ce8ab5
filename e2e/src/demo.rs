//! The demonstration: from nothing to a query through a pool with verified TLS, with the ten steps as ops-manager reports
//! them on its channel. What it created stays, so that it can be looked at.

mod steps;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::namespace::database::Database;
use crate::namespace::fixtures::{self, ISSUER, POOL};
use crate::namespace::psql::Attempt;
use crate::namespace::{TestNamespace, offer_version};
use crate::operators;
use crate::workspace::Workspace;
use local_cluster::diagnostics;
use local_cluster::progress::Elapsed;
use local_cluster::target::Target;

/// Time from the manifest to a pool that is ready.
const READY: Duration = Duration::from_mins(3);

/// What is kept of a demonstration, for the benchmark.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) seconds: f64,
}

impl Record {
    const FILE: &'static str = "demo.json";

    /// The record of the last one that succeeded from this source tree.
    pub(crate) fn last(workspace: &Workspace) -> Option<Self> {
        let text = fs::read_to_string(workspace.results().join(Self::FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn keep(self, workspace: &Workspace) -> anyhow::Result<()> {
        fs::create_dir_all(workspace.results())?;
        fs::write(workspace.results().join(Self::FILE), json!(self).to_string()).context("keeping the time")
    }
}

/// Runs it in the local cluster, or in the one of `kubeconfig`.
pub(crate) fn run(workspace: &Workspace, kubeconfig: Option<&Path>) -> anyhow::Result<()> {
    let begin = Instant::now();
    let target = workspace.prepare(kubeconfig)?;
    target.run(async {
        let client = target.client().await?;
        let ns = play(workspace, &client).await?;
        let kubectl = match target {
            Target::Local(_) => "cargo e2e kubectl --",
            Target::Existing(_) => "kubectl",
        };
        println!(
            "\nIt all stays: {kubectl} -n {} get pgpool,certificate,secret,pod\n",
            ns.name()
        );
        Ok(())
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    Record { seconds }.keep(workspace)?;
    println!("demo: ok in {seconds:.0} s");
    Ok(())
}

async fn play(workspace: &Workspace, client: &Client) -> anyhow::Result<TestNamespace> {
    offer_version(client).await?;
    let database = Database::announced(workspace, client, "demo-postgres").await?;
    let ns = TestNamespace::create(client, "demo").await?;
    let played = async {
        let step = workspace
            .progress
            .step("get a certificate to read the channel with");
        let reader = steps::Reader::create(&ns).await?;
        step.done();
        print_steps(&ns, &database, &reader).await?;
        reader.delete().await?;
        query(&ns, &database).await
    };
    let Err(error) = played.await else {
        return Ok(ns);
    };
    let file = workspace.results().join("demo.txt");
    let namespaces = [ns.name(), database.namespace().name(), operators::NAMESPACE];
    diagnostics::dump(client, &namespaces, &file).await?;
    Err(error).with_context(|| format!("the demonstration failed; see {}", file.display()))
}

/// Creates what a user creates, and prints what follows from it until the pool is ready.
async fn print_steps(ns: &TestNamespace, database: &Database, reader: &steps::Reader) -> anyhow::Result<()> {
    println!(
        "\nA user creates an issuer and a Pgpool in the namespace {}; PostgreSQL is in {}. ops-manager reports:\n",
        ns.name(),
        database.namespace().name()
    );
    let begin = Instant::now();
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(database.namespace().name())?).await?;
    let printed = tokio::time::timeout(READY, reader.print_steps(ns, begin)).await;
    let ready = READY.saturating_sub(begin.elapsed());
    match printed {
        Ok(printed) => printed?,
        Err(_) => bail!(
            "{POOL} is not ready after {}: {}",
            Elapsed(READY),
            ns.conditions(POOL).await?
        ),
    }
    ns.ready(POOL, ready).await?;
    println!(
        "     {:>6.2} s  {:<12}  Ready: every pod accepts logins and serves its certificate\n",
        begin.elapsed().as_secs_f64(),
        ""
    );
    Ok(())
}

/// Queries the database through the pool, as an application would.
async fn query(ns: &TestNamespace, database: &Database) -> anyhow::Result<()> {
    let attempts = [Attempt::verify_full(), Attempt::plain(), Attempt::wrong_ca()];
    let outcomes = ns.psql(POOL, database, &attempts).await?;
    println!(
        "psql, in a pod of its own, through the Service {POOL}.{}.svc:9999",
        ns.name()
    );
    for (attempt, outcome) in attempts.iter().zip(&outcomes) {
        let verdict = if outcome.status == 0 {
            "works"
        } else {
            "is refused"
        };
        println!("  {} {verdict}", attempt.title);
        outcome.output.lines().for_each(|line| println!("    {line}"));
    }
    let [verified, plain, wrong] = outcomes.as_slice() else {
        bail!("psql did not run three times")
    };
    verified.expect_row().context("verify-full")?;
    plain.expect_refusal("SSL off").context("plain text")?;
    let refusal = wrong.expect_refusal("certificate verify failed");
    refusal.context("a wrong CA")
}
