//! Asks real pools, wave by wave: a node holds only so many pods.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, future};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Client, ResourceExt as _};
use local_cluster::progress::Progress;
use local_cluster::wait;
use serde_json::json;
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::cells::{Cell, Question};
use super::clients::Clients;
use super::oracle;
use super::pools::{Backend, Combination};
use super::reading::Seen;
use super::table::Asked;
use crate::scene::Scene;
use crate::scene::database::Database;
use crate::scene::fixtures;
use crate::scene::pool::{Expected, is_ready, told_of};

/// Time for a wave of pools to serve.
const READY: Duration = Duration::from_mins(5);

/// Time for its pods to end.
const GONE: Duration = Duration::from_mins(2);

/// Pools that are raised at once: what a node of two cores starts within a minute.
const SIZE: usize = 24;

/// Requests to the API server at once.
pub const AT_ONCE: usize = 8;

/// The servers behind the pools.
#[derive(Clone)]
pub struct Databases {
    plain: Database,
    tls: Database,
}

impl Databases {
    /// Starts one without TLS beside `tls`, which has it, and makes that known without its authority too.
    pub async fn beside(client: &Client, tls: Database) -> anyhow::Result<Self> {
        let plain = tls.start_plain(client, "matrix-plain").await?;
        let unverified = fixtures::app_binding(tls.scene().namespace())
            .named(Backend::Unknown.binding())
            .with("/spec/clientConfig/service/query", json!("sslmode=require"));
        tls.scene().put(&unverified).await?;
        Ok(Self { plain, tls })
    }

    /// Removes the one that [`Databases::beside`] has started.
    pub async fn remove(&self) -> anyhow::Result<()> {
        self.plain.scene().remove().await
    }

    /// The one with TLS, whose authority is known.
    #[must_use]
    pub fn known(&self) -> &Database {
        &self.tls
    }

    /// The one behind a pool.
    #[must_use]
    pub fn behind(&self, pool: &Combination) -> &Database {
        match pool.backend {
            Backend::Plain => &self.plain,
            Backend::Known | Backend::Unknown => &self.tls,
        }
    }
}

/// Creates every pool in `scene`, and asks each about each of its cells.
pub async fn ask(
    scene: &Scene,
    databases: &Databases,
    pools: &[Combination],
    progress: &Progress,
) -> anyhow::Result<Vec<Asked>> {
    let clients = Clients::prepare(scene, &databases.tls).await?;
    let mut all = Vec::new();
    let waves: Vec<_> = pools.chunks(SIZE).collect();
    for (number, wave) in (1..).zip(&waves) {
        let step = progress.step(format!("wave {number} of {}: {} pools", waves.len(), wave.len()));
        step.note("they start");
        let ready = raise(scene, databases, wave).await?;
        step.note("clients connect");
        let asking: Vec<_> = wave
            .iter()
            .map(|pool| Question::all(pool.name(), *pool, 1))
            .collect();
        let cells = connect(&clients, &asking).await?;
        step.note("they end");
        lower(scene, wave).await?;
        let asked = wave.iter().zip(ready).zip(cells);
        all.extend(asked.map(|((pool, ready), cells)| Asked {
            pool: *pool,
            ready,
            cells,
        }));
        step.done();
    }
    Ok(all)
}

/// Creates the pools of a wave, and waits until each serves, or says why it never will.
async fn raise(scene: &Scene, databases: &Databases, wave: &[Combination]) -> anyhow::Result<Vec<Duration>> {
    let begin = Instant::now();
    // Owned, since a borrowed item in a stream keeps a future from being sent between threads.
    let created = futures::stream::iter(wave.to_vec()).map(|pool| async move {
        let database = databases.behind(&pool).scene().namespace();
        scene.put(&pool.manifest(database)?).await.map(drop)
    });
    created.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let names: Vec<_> = wave.iter().map(|pool| (pool.name(), *pool)).collect();
    serving(scene, &names, begin, |_| {}).await
}

/// Waits until each of these pools serves, or says why it never will, and tells how long that took since `begin`.
/// `look` sees each pool that does not serve yet, again and again.
pub async fn serving(
    scene: &Scene,
    pools: &[(String, Combination)],
    begin: Instant,
    look: impl FnMut(&Pgpool) + Send,
) -> anyhow::Result<Vec<Duration>> {
    let state = Mutex::new((BTreeMap::<String, Duration>::new(), look));
    wait::until("the pools serve", READY, async || {
        // One list for all: this machine has better things to do than to answer for each pool.
        let found = scene.api::<Pgpool>().list(&ListParams::default()).await?.items;
        let (serving, look) = &mut *state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = Vec::new();
        for (name, pool) in pools {
            if serving.contains_key(name) {
                continue;
            }
            let found = found.iter().find(|found| found.name_any() == *name);
            match settled(pool, found) {
                Ok(()) => drop(serving.insert(name.clone(), begin.elapsed())),
                Err(error) => {
                    found.into_iter().for_each(&mut *look);
                    waiting.push(format!("{name}: {error:#}"));
                }
            }
        }
        ensure!(
            waiting.is_empty(),
            "{} do not: {}",
            waiting.len(),
            waiting.join("\n")
        );
        Ok(())
    })
    .await?;
    let (serving, _) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(pools
        .iter()
        .map(|(name, _)| serving.get(name).copied().unwrap_or_default())
        .collect())
}

/// Fails while a pool neither serves nor says why it never will.
fn settled(pool: &Combination, found: Option<&Pgpool>) -> anyhow::Result<()> {
    let found = found.context("it is not there")?;
    if oracle::reaches_backend(pool) {
        ensure!(is_ready(found), "{}", told_of(found));
        return Ok(());
    }
    NEVER.check(found).map(drop)
}

/// What a pool says whose PostgreSQL pgpool does not accept.
const NEVER: Expected<'_> = Expected(
    ConditionType::Ready,
    Status::False,
    Reason::BackendCertificateUntrusted,
    &["spec.clientConfig.caBundle"],
);

/// Asks each pool everything, from outside and from inside, and tells what was seen, pool by pool.
pub async fn connect(clients: &Clients, asking: &[Question]) -> anyhow::Result<Vec<Vec<(Cell, Seen)>>> {
    let inside = async {
        let each = futures::stream::iter(asking.to_vec())
            .map(|question| async move { clients.inside(&question).await });
        each.buffered(2).try_collect::<Vec<_>>().await
    };
    let (mut outside, inside) = future::try_join(clients.outside(asking), inside).await?;
    for (outside, inside) in outside.iter_mut().zip(inside) {
        outside.extend(inside);
    }
    Ok(outside)
}

/// Deletes the pools of a wave, and waits for the end of their pods.
async fn lower(scene: &Scene, wave: &[Combination]) -> anyhow::Result<()> {
    let deleted = futures::stream::iter(wave.to_vec())
        .map(|pool| async move { scene.delete::<Pgpool>(&pool.name()).await });
    deleted.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    wait::until("the pods of the wave are gone", GONE, async || {
        let pods = scene
            .api::<Pod>()
            .list(&ListParams::default().labels(shared_types::names::SELECTOR))
            .await?;
        ensure!(pods.items.is_empty(), "{} are left", pods.items.len());
        Ok(())
    })
    .await
}

/// The pools that a run asks: all, or those that cover every pair; and some of the newer pgpool.
#[must_use]
pub fn pools(all: bool) -> Vec<Combination> {
    let mut pools = if all {
        Combination::all()
    } else {
        Combination::covering()
    };
    pools.extend(Combination::newer());
    pools
}
