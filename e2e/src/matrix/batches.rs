//! Connects to real pools, batch by batch: a node holds only so many pods.

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
use super::outcomes::Outcome;
use super::pools::{Backend, Combination};
use super::psql_output::Seen;
use crate::namespace::TestNamespace;
use crate::namespace::database::Database;
use crate::namespace::fixtures;
use crate::namespace::pool::{Expected, describe, is_ready};

/// Time for a batch of pools to serve.
const READY: Duration = Duration::from_mins(5);

const GONE: Duration = Duration::from_mins(2);

/// Pools that are created at once: what a node of two cores starts within a minute.
const SIZE: usize = 24;

pub(crate) const AT_ONCE: usize = 8;

#[derive(Clone)]
pub(crate) struct Databases {
    plain: Database,
    tls: Database,
}

impl Databases {
    /// Starts one without TLS beside `tls`, which has it, and makes that known without its CA too.
    pub(crate) async fn beside(client: &Client, tls: Database) -> anyhow::Result<Self> {
        let plain = tls.start_plain(client, "matrix-plain").await?;
        let unverified = fixtures::app_binding(tls.namespace().name())
            .named(Backend::Unknown.binding())
            .with("/spec/clientConfig/service/query", json!("sslmode=require"));
        tls.namespace().put(&unverified).await?;
        Ok(Self { plain, tls })
    }

    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        self.plain.namespace().remove().await
    }

    /// The one with TLS, whose CA is known.
    pub(crate) fn known(&self) -> &Database {
        &self.tls
    }

    pub(crate) fn behind(&self, pool: &Combination) -> &Database {
        match pool.backend {
            Backend::Plain => &self.plain,
            Backend::Known | Backend::Unknown => &self.tls,
        }
    }
}

/// Creates every pool in `ns`, and connects to each in every way.
pub(crate) async fn try_all(
    ns: &TestNamespace,
    databases: &Databases,
    pools: &[Combination],
    progress: &Progress,
) -> anyhow::Result<Vec<Outcome>> {
    let clients = Clients::prepare(ns, &databases.tls).await?;
    let mut all = Vec::new();
    let batches: Vec<_> = pools.chunks(SIZE).collect();
    for (number, batch) in (1..).zip(&batches) {
        let step = progress.step(format!(
            "batch {number} of {}: {} pools",
            batches.len(),
            batch.len()
        ));
        step.note("the pools start");
        let ready = create(ns, databases, batch).await?;
        step.note("clients connect");
        let questions: Vec<_> = batch
            .iter()
            .map(|pool| Question::all(pool.name(), *pool, 1))
            .collect();
        let cells = connect(&clients, &questions).await?;
        step.note("the pools end");
        delete(ns, batch).await?;
        for ((pool, ready), cells) in batch.iter().zip(ready).zip(cells) {
            let mut outcome = Outcome::new(&pool.name(), None, *pool, ready);
            outcome.cells = cells;
            all.push(outcome);
        }
        step.done();
    }
    Ok(all)
}

/// Creates the pools of a batch, and waits until each serves, or reports why it never will.
async fn create(
    ns: &TestNamespace,
    databases: &Databases,
    batch: &[Combination],
) -> anyhow::Result<Vec<Duration>> {
    let begin = Instant::now();
    // Owned, since a borrowed item in a stream keeps a future from being sent between threads.
    let created = futures::stream::iter(batch.to_vec()).map(|pool| async move {
        let database = databases.behind(&pool).namespace().name();
        ns.put(&pool.manifest(database)?).await.map(drop)
    });
    created.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let names: Vec<_> = batch.iter().map(|pool| (pool.name(), *pool)).collect();
    serving(ns, &names, begin, |_| {}).await
}

/// Waits until each of these pools serves, or reports why it never will. Returns how long that took since `begin`.
/// `look` sees each pool that does not serve yet, again and again.
pub(crate) async fn serving(
    ns: &TestNamespace,
    pools: &[(String, Combination)],
    begin: Instant,
    look: impl FnMut(&Pgpool) + Send,
) -> anyhow::Result<Vec<Duration>> {
    let state = Mutex::new((BTreeMap::<String, Duration>::new(), look));
    wait::until("the pools serve", READY, async || {
        // One list request for all pools instead of one request for each, since the machine is busy.
        let found = ns.api::<Pgpool>().list(&ListParams::default()).await?.items;
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

/// Fails while a pool neither serves nor reports why it never will.
fn settled(pool: &Combination, found: Option<&Pgpool>) -> anyhow::Result<()> {
    let found = found.context("it is not there")?;
    if oracle::reaches_backend(pool) {
        ensure!(is_ready(found), "{}", describe(found));
        return Ok(());
    }
    NEVER.check(found)
}

/// The condition of a pool whose PostgreSQL pgpool does not accept.
const NEVER: Expected<'_> = Expected(
    ConditionType::Ready,
    Status::False,
    Reason::BackendCertificateUntrusted,
    &["spec.clientConfig.caBundle"],
);

/// Connects to each pool in every way, from outside and from inside, and returns what was seen, pool by pool.
pub(crate) async fn connect(
    clients: &Clients,
    questions: &[Question],
) -> anyhow::Result<Vec<Vec<(Cell, Seen)>>> {
    let inside = async {
        let each = futures::stream::iter(questions.to_vec())
            .map(|question| async move { clients.inside(&question).await });
        each.buffered(2).try_collect::<Vec<_>>().await
    };
    let (mut outside, inside) = future::try_join(clients.outside(questions), inside).await?;
    for (outside, inside) in outside.iter_mut().zip(inside) {
        outside.extend(inside);
    }
    Ok(outside)
}

/// Deletes the pools of a batch, and waits for the end of their pods.
async fn delete(ns: &TestNamespace, batch: &[Combination]) -> anyhow::Result<()> {
    let deleted = futures::stream::iter(batch.to_vec())
        .map(|pool| async move { ns.delete::<Pgpool>(&pool.name()).await });
    deleted.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    wait::until("the pods of the batch are gone", GONE, async || {
        let pods = ns
            .api::<Pod>()
            .list(&ListParams::default().labels(shared_types::names::SELECTOR))
            .await?;
        ensure!(pods.items.is_empty(), "{} are left", pods.items.len());
        Ok(())
    })
    .await
}

/// The pools that a run asks: all, or those that cover every pair; and some of the newer pgpool.
pub(crate) fn pools(all: bool) -> Vec<Combination> {
    let mut pools = if all {
        Combination::all()
    } else {
        Combination::covering()
    };
    pools.extend(Combination::newer());
    pools
}
