//! A new certificate, again and again: how long until every pod serves it, where that time goes, what clients
//! notice, and how many certificates one change costs.

use std::time::Duration;

use kube::Client;
use local_cluster::progress::Step;
use local_cluster::target::Target;
use serde_json::json;

use super::figures::{Figure, times};
use super::statistics::{median, number};
use super::with_diagnostics;
use crate::namespace::cert_manager::{SECRETS, SERVER};
use crate::namespace::database::Database;
use crate::namespace::fixtures::{self, PLATFORM_CA, POOL};
use crate::namespace::pgbench::{Counts, Load, Login};
use crate::namespace::rotation::{Follower, Goal, Requests, Rotation, span};
use crate::namespace::test_ca::TestCa;
use crate::namespace::{TestNamespace, offer_version};
use crate::workspace::Workspace;

const READY: Duration = Duration::from_mins(2);
const LIMIT: Duration = Duration::from_mins(3);
const ONE_RUNS: usize = 5;
/// Pods of the large pool, and its renewals.
const MANY: usize = 3;
const MANY_RUNS: usize = 3;
/// Pods of the pool under load, and its renewals.
const LOADED: usize = 2;
const LOADED_RUNS: usize = 3;
const ISSUERS: usize = 3;
/// The second issuer.
const OTHER_CA: &str = "other-ca";

pub(crate) async fn measure(workspace: &Workspace, target: &Target) -> anyhow::Result<Vec<Figure>> {
    let client = target.client().await?;
    offer_version(&client).await?;
    let database = Database::announced(workspace, &client, "bench-postgres").await?;
    let bench = Bench {
        workspace,
        client: &client,
        database: &database,
    };
    let (one, changed) = bench
        .in_namespace("bench-one", async |ns| bench.one(ns).await)
        .await?;
    let (many, loaded) = bench
        .in_namespace("bench-many", async |ns| bench.many(ns).await)
        .await?;
    database.namespace().remove().await?;
    let mut figures = renewals(&one, 1, 8.0);
    figures.extend(renewals(&many, MANY, 20.0));
    figures.extend(load(&loaded));
    figures.extend(changes(&changed));
    figures.extend(requests(&one, &changed));
    Ok(figures)
}

struct Bench<'a> {
    workspace: &'a Workspace,
    client: &'a Client,
    database: &'a Database,
}

/// One change, and the requests until nothing changed any more.
struct Run {
    rotation: Rotation,
    requests: Requests,
}

struct Loaded {
    runs: Vec<Run>,
    counts: Counts,
}

impl Bench<'_> {
    /// Measures in a namespace that is deleted afterwards, unless something fails.
    async fn in_namespace<T>(
        &self,
        prefix: &str,
        measure: impl AsyncFnOnce(&TestNamespace) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let ns = TestNamespace::create(self.client, prefix).await?;
        let names = [ns.name()];
        let measured = measure(&ns).await;
        let measured =
            with_diagnostics(self.workspace, self.client, "bench-rotate", &names, measured).await?;
        ns.remove().await?;
        Ok(measured)
    }

    /// A pool with one pod: renewals, then changes of the issuer.
    async fn one(&self, ns: &TestNamespace) -> anyhow::Result<(Vec<Run>, Vec<Run>)> {
        let mut pool = Pool::start(self, ns, 1).await?;
        let renewed = pool
            .renewed(self, "renew the certificate of one pod", ONE_RUNS)
            .await?;
        let other = TestCa::new(OTHER_CA)?;
        ns.issuer_of(OTHER_CA, &other).await?;
        let step = self.workspace.progress.step("change the issuer of one pod");
        let mut changed = Vec::new();
        for run in 1..=ISSUERS {
            step.note(format!("{run} of {ISSUERS}"));
            // To the other one and back.
            let (name, ca) = match run % 2 {
                1 => (OTHER_CA, other.certificate()),
                _ => (PLATFORM_CA, pool.ca.certificate()),
            };
            let edit = json!({"tls": {"issuerRef": {"name": name}}});
            changed.push(pool.changed(Some(&ca), &step, ns.edit(POOL, edit)).await?);
        }
        step.done();
        Ok((renewed, changed))
    }

    /// A pool with more pods: renewals at rest, then with fewer pods and clients at work.
    async fn many(&self, ns: &TestNamespace) -> anyhow::Result<(Vec<Run>, Loaded)> {
        let mut pool = Pool::start(self, ns, MANY).await?;
        let title = format!("renew the certificate of {MANY} pods");
        let renewed = pool.renewed(self, &title, MANY_RUNS).await?;
        pool.scale(LOADED).await?;
        let ca = pool.ca.certificate();
        let load = Load::start(ns, POOL, self.database, &ca, Login::Password).await?;
        let title = format!("renew the certificate of {LOADED} pods under load");
        let runs = pool.renewed(self, &title, LOADED_RUNS).await?;
        let counts = load.stop().await?;
        Ok((renewed, Loaded { runs, counts }))
    }
}

struct Pool<'a> {
    ns: &'a TestNamespace,
    follower: Follower,
    ca: TestCa,
    pods: usize,
}

impl<'a> Pool<'a> {
    async fn start(bench: &Bench<'_>, ns: &'a TestNamespace, pods: usize) -> anyhow::Result<Self> {
        let title = format!("start a pool with {pods} pods");
        let step = bench.workspace.progress.step(title);
        let ca = TestCa::new(PLATFORM_CA)?;
        ns.issuer_of(PLATFORM_CA, &ca).await?;
        let pool = fixtures::pgpool(bench.database.namespace().name())?.with("/spec/replicas", json!(pods));
        let follower = Follower::of_new_pool(ns, &pool, READY).await?;
        step.done();
        Ok(Self {
            ns,
            follower,
            ca,
            pods,
        })
    }

    async fn scale(&mut self, pods: usize) -> anyhow::Result<()> {
        self.ns.edit(POOL, json!({"replicas": pods})).await?;
        self.pods = pods;
        self.ns.ready(POOL, READY).await?;
        self.follower.calm(None, READY).await
    }

    async fn renewed(&mut self, bench: &Bench<'_>, title: &str, runs: usize) -> anyhow::Result<Vec<Run>> {
        let step = bench.workspace.progress.step(title);
        let ns = self.ns;
        let mut renewed = Vec::new();
        for run in 1..=runs {
            step.note(format!("{run} of {runs}"));
            renewed.push(self.changed(None, &step, ns.reissue(SERVER)).await?);
        }
        step.done();
        Ok(renewed)
    }

    async fn changed(
        &mut self,
        ca: Option<&str>,
        step: &Step,
        change: impl Future<Output = anyhow::Result<()>> + Send,
    ) -> anyhow::Result<Run> {
        let goal = Goal {
            pods: self.pods,
            ca,
            limit: LIMIT,
        };
        let (rotation, requests) = self.follower.rotate(goal, change).await?;
        step.line(format!(
            "served {:.1} s after the Secret changed\n{}",
            rotation.served.as_secs_f64(),
            rotation.describe()
        ));
        Ok(Run { rotation, requests })
    }
}

fn renewals(runs: &[Run], pods: usize, reach: f64) -> Vec<Figure> {
    let title = match pods {
        1 => "Secret renewed to new leaf served, 1 replica".to_owned(),
        pods => format!("Secret renewed to new leaf served, {pods} replicas, one at a time"),
    };
    let mut figures = Vec::from(served(&title, runs, reach, |rotation| rotation.served));
    figures.extend(phases(runs));
    figures
}

fn served(title: &str, runs: &[Run], goal: f64, time: fn(&Rotation) -> Duration) -> [Figure; 2] {
    let seconds = runs.iter().map(|run| time(&run.rotation).as_secs_f64());
    times(title, &seconds.collect::<Vec<_>>(), goal)
}

/// Where the time of a pod goes, one phase after the other.
fn phases(runs: &[Run]) -> Vec<Figure> {
    type Phase = fn(&Rotation, usize) -> Option<f64>;
    let phases: [(&str, Phase); 6] = [
        ("its turn to deletion", |it, at| {
            span(Some(it.turn(at)), it.pods[at].leaving)
        }),
        ("deletion to gone", |it, at| {
            span(it.pods[at].leaving, it.pods[at].gone)
        }),
        ("gone to created again", |it, at| {
            span(it.pods[at].gone, it.pods[at].made)
        }),
        ("created to pgpool started", |it, at| {
            span(it.pods[at].made, it.pods[at].running)
        }),
        ("started to new leaf proven", |it, at| {
            span(it.pods[at].running, Some(it.pods[at].proven))
        }),
        ("proven to ready", |it, at| {
            span(Some(it.pods[at].proven), it.pods[at].ready)
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
    let title = "issuer change to served, 1 replica";
    let mut figures = Vec::from(served(title, runs, 12.0, |rotation| rotation.whole));
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
