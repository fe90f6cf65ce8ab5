//! Changes running pools from mode to mode, as [`walk`](super::walk) says, a step of each at a time: clients that both
//! modes admit connect all the while, and when the pool says that it is ready, all clients are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt as _;
use kube::api::ListParams;
use local_cluster::progress::Progress;
use serde_json::json;
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, Status};

use super::changes::Change;
use super::clients::{Clients, Question};
use super::load::Load;
use super::pools::Combination;
use super::walk::{REPLICAS, Walk, faithful};
use super::waves::{self, Databases};
use crate::scene::fixtures::ISSUER;
use crate::scene::{Scene, offer_version};

/// Requests to the API server at once.
const AT_ONCE: usize = 8;

/// Changes the pools in `scene`, and tells what came of each change. The first of each pool is its creation.
pub async fn walk(
    scene: &Scene,
    databases: &Databases,
    walks: &[Walk],
    progress: &Progress,
) -> anyhow::Result<Vec<Change>> {
    offer_version(scene.client()).await?;
    scene.apply(ISSUER).await?;
    let clients = Clients::prepare(scene, databases.known()).await?;
    let names: Vec<_> = walks.iter().map(|walk| walk.name.clone()).collect();
    let mut load = clients.load(&names).await?;
    let mut warned = BTreeSet::new();
    let mut all = Vec::new();
    let rounds = walks
        .iter()
        .map(|walk| walk.stops.len())
        .max()
        .unwrap_or_default();
    for round in 0..rounds {
        let changes: Vec<_> = walks
            .iter()
            .filter_map(|walk| Some((walk.name.clone(), before(walk, round), *walk.stops.get(round)?)))
            .collect();
        let step = progress.step(format!(
            "round {round} of {}: {} pools",
            rounds - 1,
            changes.len()
        ));
        step.note("they change");
        let made = change(scene, databases, &mut load, &changes).await?;
        step.note("clients connect");
        let asking: Vec<_> = changes
            .iter()
            .map(|(name, _, after)| Question::all(name.clone(), *after, REPLICAS))
            .collect();
        let cells = waves::connect(&clients, &asking).await?;
        let mut warnings = warnings(scene, &mut warned).await?;
        for (made, cells) in made.into_iter().zip(cells) {
            all.push(Change {
                warnings: warnings.remove(&made.name).unwrap_or_default(),
                cells,
                ..made
            });
        }
        step.done();
    }
    Ok(all)
}

fn before(walk: &Walk, round: usize) -> Option<Combination> {
    walk.stops.get(round.checked_sub(1)?).copied()
}

/// Changes the pools, all at once, and waits until each says that it is ready.
async fn change(
    scene: &Scene,
    databases: &Databases,
    load: &mut Load,
    changes: &[(String, Option<Combination>, Combination)],
) -> anyhow::Result<Vec<Change>> {
    let faithful = changes.iter().filter_map(|(name, before, after)| {
        Some(Question {
            cells: faithful(before.as_ref()?, after),
            ..Question::all(name.clone(), *after, REPLICAS)
        })
    });
    let faithful: Vec<_> = faithful.collect();
    let working = if faithful.is_empty() {
        None
    } else {
        Some(load.begin(&faithful).await?)
    };
    let begin = Instant::now();
    // Owned, since a borrowed item in a stream keeps a future from being sent between threads.
    let put = futures::stream::iter(changes.to_vec()).map(|(name, _, after)| async move {
        let manifest = after.manifest(databases.behind(&after).scene().namespace())?;
        let manifest = manifest.named(&name).with("/spec/replicas", json!(REPLICAS));
        scene.put(&manifest).await.map(drop)
    });
    put.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let asking: Vec<_> = changes
        .iter()
        .map(|(name, _, after)| (name.clone(), *after))
        .collect();
    let mut claims: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let ready = waves::serving(scene, &asking, begin, |pool| {
        claims.entry(pool.name_any()).or_default().extend(untrue(pool));
    })
    .await?;
    let mut through = match working {
        Some(working) => working.end().await?,
        None => BTreeMap::new(),
    };
    let made = changes.iter().zip(ready).map(|((name, before, after), ready)| {
        let is_change = before.is_some();
        Ok(Change {
            name: name.clone(),
            before: *before,
            after: *after,
            ready,
            through: if is_change {
                through
                    .remove(name)
                    .with_context(|| format!("nobody connected to {name}"))?
            } else {
                through.remove(name).unwrap_or_default()
            },
            claims: claims.remove(name).filter(|_| is_change).unwrap_or_default(),
            warnings: Vec::new(),
            cells: Vec::new(),
        })
    });
    made.collect()
}

/// What a pool says that is not so while its clients come through.
fn untrue(pool: &Pgpool) -> Vec<String> {
    let status = pool.status.iter();
    let said = status.flat_map(|status| &status.conditions).filter(|condition| {
        let is = |ty: ConditionType, status: Status| {
            condition.type_ == ty.as_str() && condition.status == status.as_str()
        };
        is(ConditionType::AcceptingConnection, Status::False) || is(ConditionType::Stalled, Status::True)
    });
    let said = said.map(|condition| {
        format!(
            "{}={} {} ({})",
            condition.type_, condition.status, condition.reason, condition.message
        )
    });
    said.collect()
}

/// The warnings about pools that were not seen before, by pool.
async fn warnings(
    scene: &Scene,
    seen: &mut BTreeSet<String>,
) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let warnings = ListParams::default().fields("type=Warning,involvedObject.kind=Pgpool");
    let mut new: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in scene.api::<Event>().list(&warnings).await?.items {
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
