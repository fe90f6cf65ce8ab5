//! A new certificate, again and again: how long until every pod serves it, where that time goes, what clients
//! notice, and how many certificates one change costs.

use std::time::Duration;

use kube::Client;
use local_cluster::progress::Step;
use local_cluster::target::Target;
use serde_json::json;

use super::explained;
use super::table::Figure;
use super::values::{longest, median, number};
use crate::scene::authority::Authority;
use crate::scene::certificates::{SECRETS, SERVER};
use crate::scene::database::Database;
use crate::scene::fixtures::{self, PLATFORM_CA, POOL};
use crate::scene::load::{Counts, Load, Proof};
use crate::scene::rotation::{Follower, Goal, Requests, Rotation, between, span};
use crate::scene::{Scene, offer_version};
use crate::workspace::Workspace;

/// Time for a new pool.
const READY: Duration = Duration::from_mins(2);
/// Time for one rotation.
const LIMIT: Duration = Duration::from_mins(3);
/// Renewals of the pool with one pod.
const ALONE: usize = 5;
/// Pods of the large pool, and its renewals.
const MANY: usize = 3;
const MANY_RUNS: usize = 3;
/// Pods of the pool under load, and its renewals.
const LOADED: usize = 2;
const LOADED_RUNS: usize = 3;
/// Changes of the issuer.
const ISSUERS: usize = 3;
/// The second issuer.
const OTHER_CA: &str = "other-ca";

/// Measures everything; the figures in their order.
pub async fn measure(workspace: &Workspace, target: &Target) -> anyhow::Result<Vec<Figure>> {
    let client = target.client().await?;
    offer_version(&client).await?;
    let step = workspace.progress.step("start a PostgreSQL");
    let database = Database::start(&client, "bench-postgres").await?;
    step.done();
    let bench = Bench {
        workspace,
        client: &client,
        database: &database,
    };
    let (alone, changed) = bench.alone().await?;
    let (many, loaded) = bench.many().await?;
    database.scene().remove().await?;
    let mut figures = renewals(&alone, 1, 8.0);
    figures.extend(renewals(&many, MANY, 20.0));
    figures.extend(load(&loaded));
    figures.extend(changes(&changed));
    figures.extend(requests(&alone, &changed));
    Ok(figures)
}

/// What all parts work with.
struct Bench<'a> {
    workspace: &'a Workspace,
    client: &'a Client,
    database: &'a Database,
}

/// One change, and what it cost.
struct Run {
    rotation: Rotation,
    /// Requests until all was calm again.
    requests: Requests,
}

impl Bench<'_> {
    /// A pool with one pod: renewals, then changes of the issuer.
    async fn alone(&self) -> anyhow::Result<(Vec<Run>, Vec<Run>)> {
        let scene = Scene::create(self.client, "bench-one").await?;
        let names = [scene.namespace()];
        let measured = self.alone_in(&scene).await;
        let runs = explained(self.workspace, self.client, "bench-rotate", &names, measured).await?;
        scene.remove().await?;
        Ok(runs)
    }

    async fn alone_in(&self, scene: &Scene) -> anyhow::Result<(Vec<Run>, Vec<Run>)> {
        let mut pool = Pool::start(self, scene, 1).await?;
        let step = self.workspace.progress.step("renew the certificate of one pod");
        let mut renewed = Vec::new();
        for run in 1..=ALONE {
            step.note(format!("{run} of {ALONE}"));
            renewed.push(pool.renewed(&step).await?);
        }
        step.done();
        let other = Authority::new(OTHER_CA)?;
        scene.issuer_of(OTHER_CA, &other).await?;
        let step = self.workspace.progress.step("change the issuer of one pod");
        let mut changed = Vec::new();
        for run in 1..=ISSUERS {
            step.note(format!("{run} of {ISSUERS}"));
            // To the other one and back.
            let (name, authority) = if run % 2 == 1 {
                (OTHER_CA, other.certificate())
            } else {
                (PLATFORM_CA, pool.authority.certificate())
            };
            changed.push(pool.issued_by(name, &authority, &step).await?);
        }
        step.done();
        Ok((renewed, changed))
    }

    /// A pool with more pods: renewals at rest, then with fewer pods and clients at work.
    async fn many(&self) -> anyhow::Result<(Vec<Run>, Loaded)> {
        let scene = Scene::create(self.client, "bench-many").await?;
        let names = [scene.namespace()];
        let measured = self.many_in(&scene).await;
        let runs = explained(self.workspace, self.client, "bench-rotate", &names, measured).await?;
        scene.remove().await?;
        Ok(runs)
    }

    async fn many_in(&self, scene: &Scene) -> anyhow::Result<(Vec<Run>, Loaded)> {
        let mut pool = Pool::start(self, scene, MANY).await?;
        let step = self
            .workspace
            .progress
            .step(format!("renew the certificate of {MANY} pods"));
        let mut renewed = Vec::new();
        for run in 1..=MANY_RUNS {
            step.note(format!("{run} of {MANY_RUNS}"));
            renewed.push(pool.renewed(&step).await?);
        }
        step.done();
        let step = self
            .workspace
            .progress
            .step(format!("renew the certificate of {LOADED} pods under load"));
        pool.scale(LOADED).await?;
        let load = Load::start(
            scene,
            POOL,
            self.database,
            &pool.authority.certificate(),
            Proof::Password,
        )
        .await?;
        let mut runs = Vec::new();
        for run in 1..=LOADED_RUNS {
            step.note(format!("{run} of {LOADED_RUNS}"));
            runs.push(pool.renewed(&step).await?);
        }
        let counts = load.stop().await?;
        step.done();
        Ok((renewed, Loaded { runs, counts }))
    }
}

/// Renewals under load.
struct Loaded {
    runs: Vec<Run>,
    counts: Counts,
}

/// A running pool and what watches it.
struct Pool<'a> {
    scene: &'a Scene,
    follower: Follower,
    authority: Authority,
    pods: usize,
}

impl<'a> Pool<'a> {
    async fn start(bench: &Bench<'_>, scene: &'a Scene, pods: usize) -> anyhow::Result<Self> {
        let step = bench
            .workspace
            .progress
            .step(format!("start a pool with {pods} pods"));
        let authority = Authority::new(PLATFORM_CA)?;
        scene.issuer_of(PLATFORM_CA, &authority).await?;
        let pool = fixtures::pgpool(bench.database.scene().namespace())?.with("/spec/replicas", json!(pods));
        scene.put(&pool).await?;
        scene.ready(POOL, READY).await?;
        let mut follower = Follower::start(scene).await?;
        follower.calm(None, READY).await?;
        step.done();
        Ok(Self {
            scene,
            follower,
            authority,
            pods,
        })
    }

    async fn scale(&mut self, pods: usize) -> anyhow::Result<()> {
        self.scene.edit(POOL, json!({"replicas": pods})).await?;
        self.pods = pods;
        self.scene.ready(POOL, READY).await?;
        self.follower.calm(None, READY).await
    }

    /// Renews the server certificate.
    async fn renewed(&mut self, step: &Step) -> anyhow::Result<Run> {
        let scene = self.scene;
        self.followed(None, step, scene.reissue(SERVER)).await
    }

    /// Names another issuer.
    async fn issued_by(&mut self, issuer: &str, authority: &str, step: &Step) -> anyhow::Result<Run> {
        let scene = self.scene;
        let edit = json!({"tls": {"issuerRef": {"name": issuer}}});
        self.followed(Some(authority), step, scene.edit(POOL, edit)).await
    }

    async fn followed(
        &mut self,
        authority: Option<&str>,
        step: &Step,
        change: impl Future<Output = anyhow::Result<()>> + Send,
    ) -> anyhow::Result<Run> {
        let before = self.follower.requests();
        let goal = Goal {
            pods: self.pods,
            authority,
            limit: LIMIT,
        };
        let rotation = self.follower.follow(goal, change).await?;
        step.line(format!(
            "served {:.1} s after the Secret changed\n{}",
            rotation.served.as_secs_f64(),
            rotation.told()
        ));
        self.follower.calm(authority, LIMIT).await?;
        let requests = between(&before, &self.follower.requests());
        Ok(Run { rotation, requests })
    }
}

fn renewals(runs: &[Run], pods: usize, reach: f64) -> Vec<Figure> {
    let title = match pods {
        1 => "Secret renewed to new leaf served, 1 replica".to_owned(),
        pods => format!("Secret renewed to new leaf served, {pods} replicas, one at a time"),
    };
    let mut figures = served(&title, runs, reach, |rotation| rotation.served);
    figures.extend(phases(runs));
    figures
}

/// Median and longest.
fn served(title: &str, runs: &[Run], reach: f64, time: fn(&Rotation) -> Duration) -> Vec<Figure> {
    let times = || runs.iter().map(|run| time(&run.rotation).as_secs_f64()).collect();
    vec![
        Figure::new(
            format!("{title}, median of {}", runs.len()),
            Some(median(times())),
            "s",
        )
        .at_most(reach),
        Figure::new(format!("{title}, longest"), Some(longest(times())), "s").at_most(reach),
    ]
}

/// Where the time of a pod goes, one phase after the other.
fn phases(runs: &[Run]) -> Vec<Figure> {
    type Phase = fn(&Rotation, usize) -> Option<f64>;
    let phases: [(&str, Phase); 6] = [
        ("its turn to told to end", |rotation, index| {
            span(Some(rotation.turn(index)), rotation.pods[index].leaving)
        }),
        ("told to end to gone", |rotation, index| {
            span(rotation.pods[index].leaving, rotation.pods[index].gone)
        }),
        ("gone to made anew", |rotation, index| {
            span(rotation.pods[index].gone, rotation.pods[index].made)
        }),
        ("made to pgpool started", |rotation, index| {
            span(rotation.pods[index].made, rotation.pods[index].running)
        }),
        ("started to new leaf proven", |rotation, index| {
            span(rotation.pods[index].running, Some(rotation.pods[index].proven))
        }),
        ("proven to ready", |rotation, index| {
            span(Some(rotation.pods[index].proven), rotation.pods[index].ready)
        }),
    ];
    let figure = |(title, phase): (&str, Phase)| {
        let each = runs.iter().flat_map(|run| {
            let rotation = &run.rotation;
            (0..rotation.pods.len()).filter_map(move |index| phase(rotation, index))
        });
        let values: Vec<_> = each.collect();
        let value = (!values.is_empty()).then(|| median(values));
        Figure::new(format!("  each pod, {title}, median"), value, "s")
    };
    phases.into_iter().map(figure).collect()
}

fn load(loaded: &Loaded) -> Vec<Figure> {
    let Loaded { runs, counts } = loaded;
    let count = |title: &str, count: usize| Figure::new(title, Some(number(count)), "");
    let title = format!(
        "failed new connections, {LOADED} replicas, {} renewals under load",
        runs.len()
    );
    let mut figures = vec![
        count(&title, counts.failed).at_most(0.0),
        count("  of new connections", counts.connections + counts.failed),
        count(
            "  beside them, broken sessions of one query",
            counts.broken_queries,
        ),
        count(
            "  held sessions that broke between transactions",
            counts.broken_idle,
        ),
        count("  held sessions that broke within one", counts.broken_busy),
    ];
    let times = runs.iter().map(|run| run.rotation.served.as_secs_f64()).collect();
    figures.push(Figure::new(
        "  Secret renewed to new leaf served meanwhile, median",
        Some(median(times)),
        "s",
    ));
    figures
}

fn changes(runs: &[Run]) -> Vec<Figure> {
    let mut figures = served("issuer change to served, 1 replica", runs, 12.0, |rotation| {
        rotation.whole
    });
    let issued = runs.iter().map(|run| run.rotation.issued.as_secs_f64()).collect();
    figures.push(Figure::new(
        "  of which until the Secret changes, median",
        Some(median(issued)),
        "s",
    ));
    figures
}

/// The requests that one change made for one alias: of all changes, the one that is farthest from one request.
fn requests(renewed: &[Run], changed: &[Run]) -> Vec<Figure> {
    let figure = |what: &str, runs: &[Run], certificate: &str| {
        let counts = runs
            .iter()
            .map(|run| run.requests.get(certificate).copied().unwrap_or_default());
        let worst = counts.max_by_key(|count| count.abs_diff(1));
        let alias = certificate.trim_start_matches("pool-").trim_end_matches("-cert");
        let title = format!(
            "CertificateRequests by one {what}, {alias}, worst of {}",
            runs.len()
        );
        Figure::new(title, worst.map(number), "").exactly(1.0)
    };
    let mut figures = vec![figure("renewal", renewed, SERVER)];
    let changes = SECRETS
        .into_iter()
        .map(|certificate| figure("change of issuer", changed, certificate));
    figures.extend(changes);
    figures
}
