//! A certificate is renewed while pods serve: one pod after the other takes it over, each proven before the next goes. A
//! revision that cannot run stops at its first pod.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, Status};
use shared_types::{Alias, Pgpool};

use super::flow::{READY, prepared};
use crate::case::{Case, Context};
use crate::scene::certificates::SERVER;
use crate::scene::fixtures::POOL;
use crate::scene::pool::{Expected, is_ready};
use crate::scene::psql::Attempt;
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("rollout::one_pod_after_the_other_each_proven", renewed),
        Case::cluster("rollout::what_cannot_run_stops_at_its_first_pod", broken),
    ]
}

/// cert-manager is made to issue anew, while clients come and go.
async fn renewed(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene.put(&pool.with("/spec/replicas", json!(3))).await?;
    let before = issued(&scene.ready(POOL, READY).await?)?;
    let database = context.database().await?;
    let attempts = vec![Attempt::verify_full(); 150];
    let (outcomes, rolled) = tokio::join!(scene.psql(POOL, database, &attempts), renew(&scene, &before));
    rolled?;
    for outcome in outcomes? {
        outcome.expect_row().context("while pods are replaced")?;
    }
    Ok(())
}

async fn renew(scene: &Scene, before: &str) -> anyhow::Result<()> {
    client_runs(scene).await?;
    scene.at_rest(SERVER).await?;
    scene
        .api::<Secret>()
        .delete(SERVER, &DeleteParams::default())
        .await?;
    wait::until("every pod serves the new certificate", READY, async || {
        let pgpool = scene.pgpool(POOL).await?;
        let pods = scene.pods(POOL).await?;
        in_turn(&pgpool, &pods, before)?;
        let now = issued(&pgpool)?;
        ensure!(now != before, "no new certificate yet");
        let served = served(&pgpool);
        ensure!(
            is_ready(&pgpool) && served.len() == 3 && served.iter().all(|it| *it == Some(&now)),
            "{served:?} instead of {now}"
        );
        Ok(())
    })
    .await
}

/// Never is more than one pod away, and no pod is of the new revision before the ones after it were proven.
fn in_turn(pgpool: &Pgpool, pods: &[Pod], before: &str) -> anyhow::Result<()> {
    let up = pods.iter().filter(|pod| is_up(pod)).count();
    let hopeless = |what: String| Err(anyhow::Error::new(wait::Hopeless(what)));
    if up < 2 {
        return hopeless(format!("only {up} of 3 pods are up"));
    }
    // The status may be older than the pods, but never tells of a pod that was not proven.
    let seen = served(pgpool);
    let new: Vec<_> = seen.iter().map(|it| it.is_some_and(|it| it != before)).collect();
    if new.windows(2).any(|pair| pair[0] && !pair[1]) {
        return hopeless(format!("out of turn: {seen:?}"));
    }
    Ok(())
}

async fn client_runs(scene: &Scene) -> anyhow::Result<()> {
    wait::until("a client connects", READY, async || {
        let pods = scene
            .api::<Pod>()
            .list(&kube::api::ListParams::default())
            .await?
            .items;
        let runs = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            pod.name_any().starts_with("psql-") && phase == Some("Running")
        };
        ensure!(pods.iter().any(runs), "no client runs");
        Ok(())
    })
    .await
}

/// A pod that finds no node stops the rollout; the next change takes it away, and goes on.
async fn broken(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene.put(&pool.with("/spec/replicas", json!(3))).await?;
    scene.ready(POOL, READY).await?;
    let before = uids(&scene).await?;
    let nowhere = |node: serde_json::Value| json!({"podTemplate": {"spec": {"nodeSelector": node}}});
    scene.edit(POOL, nowhere(json!({"disk": "none-such"}))).await?;
    let says = Expected(
        ConditionType::Reconciling,
        Status::True,
        Reason::RollingOut,
        &["0 of 3", "pool-2", "node"],
    );
    scene.says(POOL, says).await?;
    let says = Expected(
        ConditionType::Stalled,
        Status::True,
        Reason::RolloutFailed,
        &["0 of 3", "pool-2", "The others stay as they are"],
    );
    scene.says_within(POOL, says, READY).await?;
    let now = uids(&scene).await?;
    ensure!(
        now[..2] == before[..2],
        "the others were touched: {now:?}, before {before:?}"
    );
    let before = lost(&scene).await?;
    scene
        .psql(POOL, context.database().await?, &[Attempt::verify_full()])
        .await?[0]
        .expect_row()?;

    scene.edit(POOL, nowhere(json!(null))).await?;
    scene.ready(POOL, READY).await?;
    wait::until("the pods before it are the same", SOON, async || {
        let now = uids(&scene).await?;
        ensure!(
            now.len() == 3 && now[..2] == before[..2],
            "{now:?}, before {before:?}"
        );
        Ok(())
    })
    .await
}

/// A pod whose turn has not come is lost meanwhile: it comes back as it was.
async fn lost(scene: &Scene) -> anyhow::Result<Vec<String>> {
    let pods = scene.api::<Pod>();
    let old = pods.get("pool-0").await?.uid();
    pods.delete("pool-0", &DeleteParams::default()).await?;
    wait::until("the pod is there again, as it was", SOON, async || {
        let pod = pods.get("pool-0").await?;
        ensure!(pod.uid() != old, "the old pod is still there");
        ensure!(is_up(&pod), "it is not ready");
        let selector = pod.spec.and_then(|spec| spec.node_selector);
        ensure!(selector.is_none(), "it is of the new revision: {selector:?}");
        Ok(())
    })
    .await?;
    uids(scene).await
}

fn is_up(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions
        .filter(|it| it.type_ == "Ready")
        .any(|it| it.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

async fn uids(scene: &Scene) -> anyhow::Result<Vec<String>> {
    let mut pods = scene.pods(POOL).await?;
    pods.sort_by_key(kube::ResourceExt::name_any);
    Ok(pods.iter().filter_map(kube::ResourceExt::uid).collect())
}

/// What each pod was last seen to serve, in the order of the pods.
fn served(pgpool: &Pgpool) -> Vec<Option<&String>> {
    let mut pods: Vec<_> = pgpool.status.iter().flat_map(|status| &status.pods).collect();
    pods.sort_by_key(|pod| &pod.name);
    pods.iter().map(|pod| pod.served_fingerprint.as_ref()).collect()
}

fn issued(pgpool: &Pgpool) -> anyhow::Result<String> {
    let mut certificates = pgpool.status.iter().flat_map(|status| &status.certificates);
    let server = certificates.find(|certificate| certificate.alias == Alias::Server);
    server
        .and_then(|server| server.fingerprint.clone())
        .context("no certificate")
}
