//! A certificate is renewed while pods serve: one pod after the other takes it over, each proven before the next goes. A
//! revision that cannot run stops at its first pod.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use local_cluster::wait;
use serde_json::json;
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::cert_manager::SERVER;
use crate::namespace::fixtures::POOL;
use crate::namespace::pods::is_up;
use crate::namespace::pool::{Expected, is_ready, issued, served};
use crate::namespace::psql::Attempt;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster("rollout::one_pod_after_the_other_each_proven", renewed),
        Case::cluster("rollout::what_cannot_run_stops_at_its_first_pod", broken),
    ]
}

/// cert-manager is made to issue again, while clients come and go.
async fn renewed(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.put(&pool.with("/spec/replicas", json!(3))).await?;
    let before = issued(&ns.ready(POOL, READY).await?)?;
    let database = context.database().await?;
    let attempts = vec![Attempt::verify_full(); 150];
    let (outcomes, rolled) = tokio::join!(ns.psql(POOL, database, &attempts), renew(&ns, &before));
    rolled?;
    for outcome in outcomes? {
        outcome.expect_row().context("while pods are replaced")?;
    }
    Ok(())
}

async fn renew(ns: &TestNamespace, before: &str) -> anyhow::Result<()> {
    ns.client_runs(READY).await?;
    ns.at_rest(SERVER).await?;
    ns.api::<Secret>()
        .delete(SERVER, &DeleteParams::default())
        .await?;
    wait::until("every pod serves the new certificate", READY, async || {
        let pgpool = ns.pgpool(POOL).await?;
        let pods = ns.pods(POOL).await?;
        in_turn(&pgpool, &pods, before)?;
        let now = issued(&pgpool)?;
        ensure!(now != before, "no new certificate yet");
        let served = served(&pgpool);
        ensure!(
            is_ready(&pgpool) && served.len() == 3 && served.iter().all(|it| it.as_ref() == Some(&now)),
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
    // The status may be older than the pods, but never has a certificate that was not proven.
    let seen = served(pgpool);
    let new: Vec<_> = seen
        .iter()
        .map(|it| it.as_ref().is_some_and(|it| it != before))
        .collect();
    if new.windows(2).any(|pair| pair[0] && !pair[1]) {
        return hopeless(format!("out of turn: {seen:?}"));
    }
    Ok(())
}

/// A pod that finds no node stops the rollout; the next change replaces it, and continues.
async fn broken(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.apply_and_wait(&pool.with("/spec/replicas", json!(3)), READY)
        .await?;
    let before = uids(&ns).await?;
    let nowhere = |node: serde_json::Value| json!({"podTemplate": {"spec": {"nodeSelector": node}}});
    ns.edit(POOL, nowhere(json!({"disk": "none-such"}))).await?;
    let says = Expected(
        ConditionType::Reconciling,
        Status::True,
        Reason::RollingOut,
        &["0 of 3", "pool-2", "node"],
    );
    ns.has_condition(POOL, says).await?;
    let says = Expected(
        ConditionType::Stalled,
        Status::True,
        Reason::RolloutFailed,
        &["0 of 3", "pool-2", "The other pods are not"],
    );
    ns.has_condition_within(POOL, says, READY).await?;
    let now = uids(&ns).await?;
    ensure!(
        now[..2] == before[..2],
        "the others were touched: {now:?}, before {before:?}"
    );
    let before = lost(&ns).await?;
    ns.gets_row(POOL, context.database().await?, Attempt::verify_full())
        .await?;

    ns.edit(POOL, nowhere(json!(null))).await?;
    ns.ready(POOL, READY).await?;
    wait::until("the pods before it are the same", SOON, async || {
        let now = uids(&ns).await?;
        ensure!(
            now.len() == 3 && now[..2] == before[..2],
            "{now:?}, before {before:?}"
        );
        Ok(())
    })
    .await
}

/// A pod whose turn has not come is lost meanwhile: it comes back as it was.
async fn lost(ns: &TestNamespace) -> anyhow::Result<Vec<String>> {
    let pods = ns.api::<Pod>();
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
    uids(ns).await
}

async fn uids(ns: &TestNamespace) -> anyhow::Result<Vec<String>> {
    let mut pods = ns.pods(POOL).await?;
    pods.sort_by_key(kube::ResourceExt::name_any);
    Ok(pods.iter().filter_map(kube::ResourceExt::uid).collect())
}
