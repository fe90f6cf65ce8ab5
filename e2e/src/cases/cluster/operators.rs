//! Pools do not change when the pods of the operators are deleted.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use kube::{Client, ResourceExt as _};
use local_cluster::target::Target;
use local_cluster::wait;
use serde_json::json;

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::fixtures::POOL;
use crate::namespace::pool::is_ready;
use crate::namespace::psql::Attempt;
use crate::namespace::timeline::{CurrentObjects, Timeline};
use crate::namespace::{SOON, pods};
use crate::operators::{NAMES, NAMESPACE};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster("operators::killed_while_they_create_they_arrive", killed).alone(),
        Case::cluster("operators::their_restart_touches_no_pod", restarted).alone(),
    ]
}

/// How long nothing has been written when all is done.
const CALM: Duration = Duration::from_secs(4);

/// When a new pod leads: a killed one has not given its lease back.
const LED: Duration = Duration::from_secs(90);

/// Whose pods are killed when an object of a kind is first seen.
const KILLS: [(&str, &str); 4] = [
    ("Service", "provisioner"),
    ("Certificate", "ops-manager"),
    ("StatefulSet", "provisioner"),
    ("Pod", "ops-manager"),
];

async fn killed(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let mut timeline = Timeline::start(&ns).await?;
    ns.put(&pool).await?;
    let (mut objects, mut kills) = (CurrentObjects::default(), 0);
    let begin = Instant::now();
    let limit = READY + LED * 2;
    loop {
        let observation = tokio::time::timeout(limit.saturating_sub(begin.elapsed()), timeline.next()).await;
        let Ok(observation) = observation else {
            bail!("not ready after {kills} kills: {}", ns.conditions(POOL).await?)
        };
        let observation = observation?;
        objects.see(&observation);
        if let Some((kind, victim)) = KILLS.get(kills)
            && ours(&objects, kind)
        {
            kill(&context, victim).await?;
            kills += 1;
        }
        if observation.kind == "Pgpool" && is_ready(&observation.object.try_parse()?) {
            break;
        }
    }
    ensure!(kills == KILLS.len(), "ready after only {kills} kills");
    ns.gets_row(POOL, context.database().await?, Attempt::verify_full())
        .await?;
    led(&context.client).await
}

/// An object of the pool of that kind is there.
fn ours(objects: &CurrentObjects, kind: &str) -> bool {
    objects
        .of(kind)
        .any(|object| object.labels().values().any(|value| value == POOL))
}

async fn restarted(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.apply_and_wait(&pool.with("/spec/replicas", json!(2)), READY)
        .await?;
    let before = ns.identities(POOL).await?;
    // Each of the two may write the status once more after it is ready.
    let version = wait::settled(POOL, CALM, SOON, async || {
        Ok(ns.pgpool(POOL).await?.resource_version())
    })
    .await?;
    restart_all(&context.client).await?;
    before.same(&ns.identities(POOL).await?)?;
    // They look at everything once more and find nothing to write.
    wait::throughout("nothing changes", Duration::from_secs(5), async || {
        let now = ns.pgpool(POOL).await?;
        ensure!(
            is_ready(&now),
            "it is not ready any more: {}",
            ns.conditions(POOL).await?
        );
        ensure!(
            now.resource_version() == version,
            "it was written: {}",
            ns.conditions(POOL).await?
        );
        before.same(&ns.identities(POOL).await?)
    })
    .await
}

/// Replaces the pods of both operators, and waits until each is led again.
pub(crate) async fn restart_all(client: &Client) -> anyhow::Result<()> {
    for name in NAMES {
        remove(client, name).await?;
    }
    led(client).await
}

/// Kills the process of an operator. In a cluster on other machines, its pod is deleted
/// without any time to end.
async fn kill(context: &Context, operator: &str) -> anyhow::Result<()> {
    for pod in pods::of_operator(&context.client, operator).await? {
        match context.target()? {
            Target::Local(_) => pods::kill(&pod)?,
            Target::Existing(_) => {
                delete(&context.client, &pod, &DeleteParams::default().grace_period(0)).await?;
            }
        }
    }
    Ok(())
}

/// Removes the pods of an operator as a drain does.
async fn remove(client: &Client, operator: &str) -> anyhow::Result<()> {
    for pod in pods::of_operator(client, operator).await? {
        delete(client, &pod, &DeleteParams::default()).await?;
    }
    Ok(())
}

async fn delete(client: &Client, pod: &Pod, parameters: &DeleteParams) -> anyhow::Result<()> {
    let api: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    api.delete(&pod.name_any(), parameters)
        .await
        .with_context(|| format!("deleting {}", pod.name_any()))?;
    Ok(())
}

/// Waits until both operators have a pod that leads and is ready.
async fn led(client: &Client) -> anyhow::Result<()> {
    for name in NAMES {
        wait::until(&format!("{name} is led again"), LED.max(SOON), async || {
            let leader = pods::leader(client, name).await?;
            ensure!(pods::is_up(&leader), "{} is not ready", leader.name_any());
            Ok(())
        })
        .await?;
    }
    Ok(())
}
