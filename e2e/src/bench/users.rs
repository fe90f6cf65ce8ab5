//! What comes into force while a pool runs: users in labeled Secrets, settings that need no restart; and what looking
//! after a pool costs it.
//!
//! A client in the cluster logs in to each pod separately and repeatedly, and records since when logins work. A
//! pgpool is many processes, so one login is not enough: several in a row must succeed, and the first of these counts.

mod client;
mod health;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Client;
use local_cluster::target::Target;
use local_cluster::wait;
use serde_json::{Value, json};

use self::client::{Phase, ROUNDS};
use super::figures::{Figure, times};
use super::statistics::longest;
use super::with_diagnostics;
use crate::namespace::database::Database;
use crate::namespace::fixtures::{self, DATABASE, Manifest, PLATFORM_CA, POOL};
use crate::namespace::pods::now;
use crate::namespace::test_ca::TestCa;
use crate::namespace::{TestNamespace, offer_version, psql};
use crate::workspace::Workspace;

const PODS: usize = 2;
const READY: Duration = Duration::from_mins(2);
const LIMIT: Duration = Duration::from_mins(2);
/// What every figure here is to reach, in seconds.
const REACH: f64 = 5.0;
const USER: &str = "bench-user";

/// Seconds until a change was in force, in each pod that it was tried in.
type Times = BTreeMap<Phase, Vec<f64>>;

pub(crate) async fn measure(workspace: &Workspace, target: &Target) -> anyhow::Result<Vec<Figure>> {
    let client = target.client().await?;
    offer_version(&client).await?;
    let database = Database::announced(workspace, &client, "bench-postgres").await?;
    let ns = TestNamespace::create(&client, "bench-users").await?;
    let places = [ns.name(), database.namespace().name()];
    let measured = measure_in(workspace, &client, &ns, &database).await;
    let figures = with_diagnostics(workspace, &client, "bench-users", &places, measured).await?;
    ns.remove().await?;
    database.namespace().remove().await?;
    Ok(figures)
}

async fn measure_in(
    workspace: &Workspace,
    client: &Client,
    ns: &TestNamespace,
    database: &Database,
) -> anyhow::Result<Vec<Figure>> {
    let step = workspace.progress.step(format!("start a pool with {PODS} pods"));
    ns.issuer_of(PLATFORM_CA, &TestCa::new(PLATFORM_CA)?).await?;
    let pool = fixtures::pgpool(database.namespace().name())?
        .with("/spec/replicas", json!(PODS))
        .with("/spec/syncUsers", json!(true))
        .with("/spec/configuration", settings(0));
    ns.put(&pool).await?;
    ns.ready(POOL, READY).await?;
    step.done();
    let step = workspace
        .progress
        .step(format!("change users and settings, {ROUNDS} times"));
    ns.put(&database.credentials(ns.name())).await?;
    let before = ns.identities(POOL).await?;
    let user = format!("bench_{:08x}", rand::random::<u32>());
    let script = client::script(ns.name(), &user, PODS);
    ns.put(&psql::pod("client", &script, "postgres-auth", &[]))
        .await?;
    let watch = Watch { ns, database, user };
    let mut times = Times::new();
    for round in 1..=ROUNDS {
        for phase in Phase::ALL {
            step.note(format!("round {round}: {phase}"));
            let seconds = watch.changed(phase, round).await?;
            times.entry(phase).or_default().extend(seconds);
        }
    }
    // A figure of pods that were restarted would be about something else.
    before.same(&ns.identities(POOL).await?)?;
    ns.delete::<Pod>("client").await?;
    step.done();
    let mut figures = figures(&times);
    figures.push(health::measure(workspace, client, ns, POOL).await?);
    Ok(figures)
}

fn figures(seen: &Times) -> Vec<Figure> {
    let each = seen.iter().flat_map(|(phase, seconds)| {
        let title = format!("{phase} to in force in every pod");
        // The last pod of each round.
        let last: Vec<_> = seconds.chunks(PODS).map(|pods| longest(pods.to_vec())).collect();
        times(&title, &last, REACH)
    });
    each.collect()
}

/// Makes the changes that the client waits for.
struct Watch<'a> {
    ns: &'a TestNamespace,
    database: &'a Database,
    user: String,
}

impl Watch<'_> {
    /// Makes one change once the client is ready for it; the seconds until each pod went by it.
    async fn changed(&self, phase: Phase, round: usize) -> anyhow::Result<Vec<f64>> {
        let ready = client::ready(phase, round);
        wait::until(&format!("the client writes {ready}"), LIMIT, async || {
            let log = self.ns.log("client").await?;
            ensure!(log.lines().any(|line| line == ready), "it wrote {log}");
            Ok(())
        })
        .await?;
        let begin = now()?;
        let users = self.database.namespace();
        match phase {
            Phase::Added => drop(users.put(&self.secret(client::FIRST)).await?),
            Phase::Changed => drop(users.put(&self.secret(client::SECOND)).await?),
            Phase::Removed => users.delete::<Secret>(USER).await?,
            Phase::Set => {
                let edit = json!({"configuration": settings(round)});
                self.ns.edit(POOL, edit).await?;
            }
        }
        self.seen(phase, round, begin).await
    }

    async fn seen(&self, phase: Phase, round: usize, begin: f64) -> anyhow::Result<Vec<f64>> {
        let mark = client::mark(phase, round);
        let times = self.ns.times("client", &mark, PODS, LIMIT).await?;
        Ok(times.iter().map(|at| at - begin).collect())
    }

    fn secret(&self, password: &str) -> Manifest {
        let labels = json!({
            "app.kubernetes.io/name": "postgreses.kubedb.com",
            "app.kubernetes.io/instance": DATABASE,
        });
        Manifest::secret(USER, json!({"username": self.user, "password": password}))
            .with("/metadata/labels", labels)
    }
}

/// The user's own settings; the one that changes with the round needs no restart.
fn settings(round: usize) -> Value {
    let limit = client::setting(round);
    let conf = format!("log_connections = on\n{} = {limit}\n", client::SETTING);
    json!({"inline": {"pgpool.conf": conf}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pod_of_a_round_counts() {
        let times = Times::from([(Phase::Added, vec![1.0, 2.0, 7.0, 3.0])]);
        let figures = figures(&times);
        assert_eq!(figures[0].value, Some(4.5));
        assert_eq!(figures[1].value, Some(7.0));
        assert_eq!(figures[1].met, Some(false));
    }
}
