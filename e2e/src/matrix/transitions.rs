//! Changes running pools from mode to mode along their [`routes`](super::routes), all pools one step at a time: clients
//! that both modes admit connect all the while, and when the pool reports that it is ready, all clients connect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, Status};

use super::batches::{self, AT_ONCE, Databases};
use super::cells::Question;
use super::clients::Clients;
use super::outcomes::Outcome;
use super::pools::Combination;
use super::routes::{REPLICAS, Route, admitted_by_both};
use super::steady_clients::Load;
use crate::namespace::TestNamespace;
use crate::namespace::pool::line;
use local_cluster::progress::Progress;

/// A pool, what it was, and what it becomes; it was nothing when it is created.
type Stop = (String, Option<Combination>, Combination);

/// Changes the pools in `ns`, and returns what came of each change. The first of each pool is its creation.
pub(crate) async fn change_all(
    ns: &TestNamespace,
    databases: &Databases,
    routes: &[Route],
    progress: &Progress,
) -> anyhow::Result<Vec<Outcome>> {
    let clients = Clients::prepare(ns, databases.known()).await?;
    let names: Vec<_> = routes.iter().map(|route| route.name.clone()).collect();
    let mut load = clients.load(&names).await?;
    let mut seen_warnings = BTreeSet::new();
    let mut all = Vec::new();
    let rounds = routes
        .iter()
        .map(|route| route.stops.len())
        .max()
        .unwrap_or_default();
    for round in 0..rounds {
        let stops: Vec<_> = routes.iter().filter_map(|route| stop(route, round)).collect();
        let title = format!("round {round} of {}: {} pools", rounds - 1, stops.len());
        let step = progress.step(title);
        step.note("the pools change");
        let changes = change(ns, databases, &mut load, &stops).await?;
        step.note("clients connect");
        let questions = stops.iter();
        let questions: Vec<_> = questions
            .map(|(name, _, after)| Question::all(name.clone(), *after, REPLICAS))
            .collect();
        let cells = batches::connect(&clients, &questions).await?;
        let mut warnings = new_warnings(ns, &mut seen_warnings).await?;
        for (change, cells) in changes.into_iter().zip(cells) {
            all.push(Outcome {
                warnings: warnings.remove(&change.name).unwrap_or_default(),
                cells,
                ..change
            });
        }
        step.done();
    }
    Ok(all)
}

fn stop(route: &Route, round: usize) -> Option<Stop> {
    let after = *route.stops.get(round)?;
    let before = round.checked_sub(1).and_then(|before| route.stops.get(before));
    Some((route.name.clone(), before.copied(), after))
}

/// Changes the pools, all at once, and waits until each reports that it is ready.
async fn change(
    ns: &TestNamespace,
    databases: &Databases,
    load: &mut Load,
    stops: &[Stop],
) -> anyhow::Result<Vec<Outcome>> {
    let running = stops.iter().filter_map(|(name, before, after)| {
        Some(Question {
            cells: admitted_by_both(before.as_ref()?, after),
            ..Question::all(name.clone(), *after, REPLICAS)
        })
    });
    let running: Vec<_> = running.collect();
    let working = if running.is_empty() {
        None
    } else {
        Some(load.begin(&running).await?)
    };
    let begin = Instant::now();
    // Owned, since a borrowed item in a stream keeps a future from being sent between threads.
    let applied = futures::stream::iter(stops.to_vec()).map(|(name, _, after)| async move {
        let manifest = after.manifest(databases.behind(&after).namespace().name())?;
        let manifest = manifest.named(&name).with("/spec/replicas", json!(REPLICAS));
        ns.put(&manifest).await.map(drop)
    });
    applied.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let pools: Vec<_> = stops
        .iter()
        .map(|(name, _, after)| (name.clone(), *after))
        .collect();
    let mut claims: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let ready = batches::serving(ns, &pools, begin, |pool| {
        claims
            .entry(pool.name_any())
            .or_default()
            .extend(false_claims(pool));
    })
    .await?;
    let mut connections = match working {
        Some(working) => working.end().await?,
        None => BTreeMap::new(),
    };
    let mut changes = Vec::new();
    for ((name, before, after), ready) in stops.iter().zip(ready) {
        let mut change = Outcome::new(name, *before, *after, ready);
        if before.is_some() {
            let of_pool = connections.remove(name);
            change.connections = of_pool.with_context(|| format!("no client connected to {name}"))?;
            change.claims = claims.remove(name).unwrap_or_default();
        }
        changes.push(change);
    }
    Ok(changes)
}

/// What a pool reports that is not true while its clients get through.
fn false_claims(pool: &Pgpool) -> Vec<String> {
    let conditions = pool.status.iter().flat_map(|status| &status.conditions);
    let wrong = conditions.filter(|condition| {
        let found = (condition.type_.as_str(), condition.status.as_str());
        found
            == (
                ConditionType::AcceptingConnection.as_str(),
                Status::False.as_str(),
            )
            || found == (ConditionType::Stalled.as_str(), Status::True.as_str())
    });
    wrong.map(line).collect()
}

/// The warnings about pools that were not seen before, by pool.
async fn new_warnings(
    ns: &TestNamespace,
    seen: &mut BTreeSet<String>,
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let warnings = ListParams::default().fields("type=Warning,involvedObject.kind=Pgpool");
    let mut new: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in ns.api::<Event>().list(&warnings).await?.items {
        let version = event.resource_version().unwrap_or_default();
        if seen.insert(format!("{} {version}", event.name_any())) {
            let pool = event.involved_object.name.unwrap_or_default();
            let (reason, message) = (
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default(),
            );
            new.entry(pool).or_default().push(format!("{reason}: {message}"));
        }
    }
    Ok(new)
}
