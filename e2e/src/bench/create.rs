//! A new Pgpool with TLS, again and again: how long until it is ready, how much of that is ours, what it costs
//! the API server, and what both operators cost when there is nothing to do.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use kube::{Client, ResourceExt as _};
use local_cluster::progress::Elapsed;
use local_cluster::target::Target;

use super::figures::Figure;
use super::requests::{self, Counts};
use super::statistics::{longest, mebibytes, median, number};
use crate::demo;
use crate::namespace::cert_manager::SECRETS;
use crate::namespace::database::Database;
use crate::namespace::fixtures::{self, ISSUER, POOL};
use crate::namespace::pool::is_ready;
use crate::namespace::timeline::{CurrentObjects, Observation, Timeline, holds};
use crate::namespace::{TestNamespace, offer_version, pods};
use crate::operators::NAMES;
use crate::workspace::Workspace;

/// How many pools are made, one after the other.
const RUNS: usize = 10;

const READY: Duration = Duration::from_mins(2);

/// How long after it is ready the requests of a pool are still counted.
const SETTLE: Duration = Duration::from_secs(5);

const IDLE: Duration = Duration::from_mins(1);

pub(crate) async fn measure(workspace: &Workspace, target: &Target) -> anyhow::Result<Vec<Figure>> {
    let client = target.client().await?;
    offer_version(&client).await?;
    let database = Database::announced(workspace, &client, "bench-postgres").await?;
    let measured = measure_with(workspace, target, &client, &database).await;
    // What a benchmark that failed leaves behind may explain it.
    let figures = measured?;
    database.namespace().remove().await?;
    Ok(figures)
}

async fn measure_with(
    workspace: &Workspace,
    target: &Target,
    client: &Client,
    database: &Database,
) -> anyhow::Result<Vec<Figure>> {
    let step = workspace.progress.step(format!("make {RUNS} pools"));
    // All of them stay until the end: to take one away while the next is measured would be noise.
    let (mut runs, mut scenes) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        step.note(format!("{run} of {RUNS}"));
        let ns = TestNamespace::create(client, "bench").await?;
        ns.apply(ISSUER).await?;
        ns.issuer_awaited("platform-ca").await?;
        runs.push(
            once(&ns, database, target)
                .await
                .with_context(|| format!("pool {run}"))?,
        );
        scenes.push(ns);
    }
    step.done();
    let mut figures = times(&runs);
    figures.extend(costs(&runs));
    figures.extend(rest(workspace, target, client).await?);
    let warm = demo::Record::last(workspace).map(|record| record.seconds);
    figures.push(Figure::new("last demo from this tree, all of it", warm, "s").at_most(90.0));
    for ns in scenes {
        ns.remove().await?;
    }
    Ok(figures)
}

struct Run {
    ready: Duration,
    /// From the first Certificate to the last certificate Secret.
    issue: Duration,
    /// From the workload to a pod that is ready.
    start: Duration,
    /// The requests of each operator, where the audit log can be read.
    requests: Option<[Counts; 2]>,
}

impl Run {
    /// What is left when certificates and pod have had their time.
    fn added(&self) -> Duration {
        self.ready.saturating_sub(self.issue + self.start)
    }
}

#[derive(Default)]
struct Moments {
    asked: Option<Instant>,
    issued: Option<Instant>,
    workload: Option<Instant>,
    pod: Option<Instant>,
    ready: Option<Instant>,
}

impl Moments {
    fn see(&mut self, observation: &Observation, objects: &CurrentObjects) -> anyhow::Result<()> {
        let (at, object) = (observation.at, &observation.object);
        match observation.kind {
            "Certificate" if SECRETS.contains(&object.name_any().as_str()) => {
                self.asked.get_or_insert(at);
            }
            "Secret" if SECRETS.iter().all(|name| objects.get("Secret", name).is_some()) => {
                self.issued.get_or_insert(at);
            }
            "StatefulSet" => {
                self.workload.get_or_insert(at);
            }
            "Pod" if holds(object, "Ready") => {
                self.pod.get_or_insert(at);
            }
            "Pgpool" if is_ready(&object.clone().try_parse()?) => {
                self.ready.get_or_insert(at);
            }
            _ => {}
        }
        Ok(())
    }
}

async fn once(ns: &TestNamespace, database: &Database, target: &Target) -> anyhow::Result<Run> {
    let pool = fixtures::pgpool(database.namespace().name())?;
    let mut timeline = Timeline::start(ns).await?;
    let (mut objects, mut moments) = (CurrentObjects::default(), Moments::default());
    let (from, begin) = (now()?, Instant::now());
    ns.put(&pool).await?;
    while moments.ready.is_none() {
        let observation = tokio::time::timeout(READY.saturating_sub(begin.elapsed()), timeline.next()).await;
        let Ok(observation) = observation else {
            bail!(
                "not ready after {}: {}",
                Elapsed(READY),
                ns.conditions(POOL).await?
            )
        };
        let observation = observation?;
        objects.see(&observation);
        moments.see(&observation, &objects)?;
    }
    let requests = match target.audit_log() {
        Some(log) => {
            tokio::time::sleep(SETTLE).await;
            let to = now()?;
            let [ops_manager, provisioner] = NAMES.map(|name| requests::of_operator(&log, name, from, to));
            Some([ops_manager?, provisioner?])
        }
        None => None,
    };
    let between = |from: Option<Instant>, to: Option<Instant>| {
        let both = from.zip(to).context("a moment was not seen")?;
        anyhow::Ok(both.1.saturating_duration_since(both.0))
    };
    Ok(Run {
        ready: between(Some(begin), moments.ready)?,
        issue: between(moments.asked, moments.issued)?,
        start: between(moments.workload, moments.pod)?,
        requests,
    })
}

fn times(runs: &[Run]) -> Vec<Figure> {
    let figure = |title: &str, part: fn(&Run) -> Duration, of: fn(Vec<f64>) -> f64| {
        Figure::new(
            title,
            Some(of(runs.iter().map(|run| part(run).as_secs_f64()).collect())),
            "s",
        )
    };
    vec![
        figure("new TLS Pgpool, apply to Ready, median", |run| run.ready, median).at_most(6.0),
        figure(
            "new TLS Pgpool, apply to Ready, longest",
            |run| run.ready,
            longest,
        ),
        figure(
            "  of which certificates are issued, median",
            |run| run.issue,
            median,
        ),
        figure("  of which the pod starts, median", |run| run.start, median),
        figure("  of which added by us, median", Run::added, median).at_most(1.0),
        figure("  of which added by us, longest", Run::added, longest),
    ]
}

/// The requests for one pool: the run in the middle, so that a single retry does not blur the picture.
fn costs(runs: &[Run]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (index, name) in NAMES.iter().enumerate() {
        let title = format!("API requests of {name} for a new TLS Pgpool");
        let mut counts: Vec<_> = runs
            .iter()
            .filter_map(|run| Some(&run.requests.as_ref()?[index]))
            .collect();
        let total = |counts: &Counts| -> usize {
            counts
                .iter()
                .filter(|(what, _)| !requests::is_lease(what))
                .map(|(_, count)| count)
                .sum()
        };
        counts.sort_by_key(|counts| total(counts));
        let Some(middle) = counts.get(counts.len().saturating_sub(1) / 2) else {
            figures.push(Figure::new(title, None, "requests"));
            continue;
        };
        figures.push(Figure::new(title, Some(number(total(middle))), "requests"));
        let each = middle.iter().filter(|(what, _)| !requests::is_lease(what));
        figures.extend(
            each.map(|(what, count)| {
                Figure::new(format!("  {name}: {what}"), Some(number(*count)), "requests")
            }),
        );
    }
    figures
}

/// What both operators cost when all is done.
async fn rest(workspace: &Workspace, target: &Target, client: &Client) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let step = workspace
        .progress
        .step(format!("watch the idle operators for {}", Elapsed(IDLE)));
    let from = now()?;
    tokio::time::sleep(IDLE).await;
    let to = now()?;
    let mut writes = (Some(0), Some(0));
    for name in NAMES {
        let counts = target
            .audit_log()
            .map(|log| requests::of_operator(&log, name, from, to))
            .transpose()?;
        let count = |lease: bool| {
            let counts = counts.as_ref()?.iter().filter(|(what, _)| requests::writes(what));
            Some(
                counts
                    .filter(|(what, _)| requests::is_lease(what) == lease)
                    .map(|(_, count)| count)
                    .sum::<usize>(),
            )
        };
        writes = (add(writes.0, count(false)), add(writes.1, count(true)));
    }
    let seconds = IDLE.as_secs();
    let title = format!("writes of both operators at rest, {seconds} s");
    figures.push(Figure::new(title, writes.0.map(number), "requests").at_most(0.0));
    let title = format!("  in addition, lease renewals, {seconds} s");
    figures.push(Figure::new(title, writes.1.map(number), "requests"));
    for name in NAMES {
        let pod = pods::leader(client, name).await?;
        let resident = match target {
            Target::Local(_) => Some(mebibytes(pods::resident(&pod)?)),
            Target::Existing(_) => None,
        };
        figures
            .push(Figure::new(format!("resident memory of {name} at rest"), resident, "MiB").at_most(25.0));
    }
    step.done();
    Ok(figures)
}

fn add(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    Some(one? + other?)
}

/// The time as the audit log is stamped with: that of this machine.
fn now() -> anyhow::Result<Timestamp> {
    Ok(Timestamp::try_from(std::time::SystemTime::now())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_ours() {
        let seconds = Duration::from_secs;
        let run = Run {
            ready: seconds(6),
            issue: seconds(2),
            start: seconds(3),
            requests: None,
        };
        assert_eq!(run.added(), seconds(1));
    }
}
