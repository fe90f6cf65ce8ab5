//! What comes into force while a pool runs: users in labelled Secrets, settings that need no restart; and what looking
//! after a pool costs it.
//!
//! A client in the cluster logs in to each pod by itself, over and over, and tells since when it goes as it should. A
//! pgpool is many processes, so once is not enough: it has to go so several times in a row, and the first of these counts.

mod client;
mod health;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Client;
use kube::api::LogParams;
use local_cluster::target::Target;
use local_cluster::wait;
use serde_json::{Value, json};

use self::client::{Phase, ROUNDS};
use super::explained;
use super::table::Figure;
use super::values::{longest, median};
use crate::scene::authority::Authority;
use crate::scene::database::Database;
use crate::scene::fixtures::{self, DATABASE, Manifest, PLATFORM_CA, POOL};
use crate::scene::{Scene, offer_version, psql};
use crate::workspace::Workspace;

/// Pods of the pool.
const PODS: usize = 2;
/// Time for a new pool.
const READY: Duration = Duration::from_mins(2);
/// Time for one change.
const LIMIT: Duration = Duration::from_mins(2);
/// What every figure here is to reach, in seconds.
const REACH: f64 = 5.0;
/// The user's Secret.
const USER: &str = "bench-user";

/// Seconds until a change was in force, in each pod that it was tried in.
type Times = BTreeMap<Phase, Vec<f64>>;

/// Measures everything; the figures in their order.
pub async fn measure(workspace: &Workspace, target: &Target) -> anyhow::Result<Vec<Figure>> {
    let client = target.client().await?;
    offer_version(&client).await?;
    let step = workspace.progress.step("start a PostgreSQL");
    let database = Database::start(&client, "bench-postgres").await?;
    step.done();
    let scene = Scene::create(&client, "bench-users").await?;
    let places = [scene.namespace(), database.scene().namespace()];
    let measured = measure_in(workspace, &client, &scene, &database).await;
    let figures = explained(workspace, &client, "bench-users", &places, measured).await?;
    scene.remove().await?;
    database.scene().remove().await?;
    Ok(figures)
}

async fn measure_in(
    workspace: &Workspace,
    client: &Client,
    scene: &Scene,
    database: &Database,
) -> anyhow::Result<Vec<Figure>> {
    let step = workspace.progress.step(format!("start a pool with {PODS} pods"));
    scene
        .issuer_of(PLATFORM_CA, &Authority::new(PLATFORM_CA)?)
        .await?;
    let pool = fixtures::pgpool(database.scene().namespace())?
        .with("/spec/replicas", json!(PODS))
        .with("/spec/syncUsers", json!(true))
        .with("/spec/configuration", settings(0));
    scene.put(&pool).await?;
    scene.ready(POOL, READY).await?;
    step.done();
    let step = workspace
        .progress
        .step(format!("change users and settings, {ROUNDS} times"));
    scene.put(&database.credentials(scene.namespace())).await?;
    let before = scene.identities(POOL).await?;
    let user = format!("bench_{:08x}", rand::random::<u32>());
    let script = client::script(scene.namespace(), &user, PODS);
    scene
        .put(&psql::pod("client", &script, "postgres-auth", &[]))
        .await?;
    let watch = Watch {
        scene,
        database,
        user,
    };
    let mut times = Times::new();
    for round in 1..=ROUNDS {
        for phase in Phase::ALL {
            step.note(format!("round {round}: {phase}"));
            let seconds = watch.changed(phase, round).await?;
            times.entry(phase).or_default().extend(seconds);
        }
    }
    // A figure of pods that were restarted would be about something else.
    before.same(&scene.identities(POOL).await?)?;
    scene.delete::<Pod>("client").await?;
    step.done();
    let mut figures = figures(&times);
    figures.push(health::measure(workspace, client, scene, POOL).await?);
    Ok(figures)
}

fn figures(times: &Times) -> Vec<Figure> {
    let each = times.iter().flat_map(|(phase, seconds)| {
        let title = format!("{phase} to in force in every pod");
        // The last pod of each round.
        let last: Vec<_> = seconds.chunks(PODS).map(|pods| longest(pods.to_vec())).collect();
        [
            Figure::new(
                format!("{title}, median of {}", last.len()),
                Some(median(last.clone())),
                "s",
            )
            .at_most(REACH),
            Figure::new(format!("{title}, longest"), Some(longest(last)), "s").at_most(REACH),
        ]
    });
    each.collect()
}

/// Makes the changes that the client waits for.
struct Watch<'a> {
    scene: &'a Scene,
    database: &'a Database,
    user: String,
}

impl Watch<'_> {
    /// Makes one change once the client is ready for it; the seconds until each pod went by it.
    async fn changed(&self, phase: Phase, round: usize) -> anyhow::Result<Vec<f64>> {
        let ready = client::ready(phase, round);
        wait::until(&format!("the client says {ready}"), LIMIT, async || {
            let log = self.log().await?;
            ensure!(log.lines().any(|line| line == ready), "it said {log}");
            Ok(())
        })
        .await?;
        let begin = now()?;
        match phase {
            Phase::Added => self.database.scene().put(&self.secret(client::FIRST)).await?,
            Phase::Changed => self.database.scene().put(&self.secret(client::SECOND)).await?,
            Phase::Removed => {
                self.database.scene().delete::<Secret>(USER).await?;
                return self.seen(phase, round, begin).await;
            }
            Phase::Set => {
                let edit = json!({"configuration": settings(round)});
                self.scene.edit(POOL, edit).await?;
                return self.seen(phase, round, begin).await;
            }
        };
        self.seen(phase, round, begin).await
    }

    async fn seen(&self, phase: Phase, round: usize, begin: f64) -> anyhow::Result<Vec<f64>> {
        let mark = client::mark(phase, round);
        wait::until(&format!("{mark}: in force in every pod"), LIMIT, async || {
            let log = self.log().await?;
            let times = log
                .lines()
                .filter_map(|line| line.strip_prefix(&mark)?.trim().parse::<f64>().ok());
            let times: Vec<_> = times.map(|at| at - begin).collect();
            ensure!(times.len() == PODS, "in {} of {PODS} pods", times.len());
            Ok(times)
        })
        .await
    }

    fn secret(&self, password: &str) -> Manifest {
        Manifest(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": USER, "labels": {
                "app.kubernetes.io/name": "postgreses.kubedb.com", "app.kubernetes.io/instance": DATABASE,
            }},
            "stringData": {"username": self.user, "password": password},
        }))
    }

    async fn log(&self) -> anyhow::Result<String> {
        let api = self.scene.api::<Pod>();
        api.logs("client", &LogParams::default())
            .await
            .context("reading what the client said")
    }
}

/// The user's own settings; the one that changes with the round needs no restart.
fn settings(round: usize) -> Value {
    let limit = client::setting(round);
    let conf = format!("log_connections = on\n{} = {limit}\n", client::SETTING);
    json!({"inline": {"pgpool.conf": conf}})
}

/// Seconds, as `date` in the client tells them: of the same machine.
fn now() -> anyhow::Result<f64> {
    Ok(SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs_f64())
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
