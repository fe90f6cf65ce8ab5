//! What becomes of pools when the operators' own pods go: nothing.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use kube::{Client, ResourceExt as _};
use local_cluster::target::Target;
use local_cluster::wait;
use serde_json::json;

use super::flow::{READY, prepared};
use crate::case::{Case, Context};
use crate::operators::{NAMES, NAMESPACE};
use crate::scene::fixtures::POOL;
use crate::scene::pool::is_ready;
use crate::scene::psql::Attempt;
use crate::scene::timeline::{Board, Sightings};
use crate::scene::{SOON, pods};

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("operators::killed_while_they_create_they_arrive", killed).alone(),
        Case::cluster("operators::their_restart_touches_no_pod", restarted).alone(),
    ]
}

/// How long nothing has been written when all is said.
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
    let (scene, pool) = prepared(&context).await?;
    let mut sightings = Sightings::start(&scene).await?;
    scene.put(&pool).await?;
    let (mut board, mut kills) = (Board::default(), 0);
    let begin = Instant::now();
    let limit = READY + LED * 2;
    loop {
        let sighting = tokio::time::timeout(limit.saturating_sub(begin.elapsed()), sightings.next()).await;
        let Ok(sighting) = sighting else {
            bail!("not ready after {kills} kills: {}", scene.told(POOL).await?)
        };
        let sighting = sighting?;
        board.see(&sighting);
        if let Some((kind, victim)) = KILLS.get(kills)
            && ours(&board, kind)
        {
            kill(&context, victim).await?;
            kills += 1;
        }
        if sighting.kind == "Pgpool" && is_ready(&sighting.object.try_parse()?) {
            break;
        }
    }
    ensure!(kills == KILLS.len(), "ready after only {kills} kills");
    let outcomes = scene
        .psql(POOL, context.database().await?, &[Attempt::verify_full()])
        .await?;
    outcomes[0].expect_row()?;
    led(&context.client).await
}

/// An object of the pool of that kind is there.
fn ours(board: &Board, kind: &str) -> bool {
    board
        .of(kind)
        .any(|object| object.labels().values().any(|value| value == POOL))
}

async fn restarted(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene.put(&pool.with("/spec/replicas", json!(2))).await?;
    scene.ready(POOL, READY).await?;
    let before = scene.identities(POOL).await?;
    // Each of the two may have a last word to say after it is ready.
    let version = wait::settled(POOL, CALM, SOON, async || {
        Ok(scene.pgpool(POOL).await?.resource_version())
    })
    .await?;
    restart_all(&context.client).await?;
    before.same(&scene.identities(POOL).await?)?;
    // They look at everything once more and find nothing to write.
    wait::throughout("nothing changes", Duration::from_secs(5), async || {
        let now = scene.pgpool(POOL).await?;
        ensure!(
            is_ready(&now),
            "it is not ready any more: {}",
            scene.told(POOL).await?
        );
        ensure!(
            now.resource_version() == version,
            "it was written: {}",
            scene.told(POOL).await?
        );
        before.same(&scene.identities(POOL).await?)
    })
    .await
}

/// Replaces the pods of both operators, and waits until each is led again.
pub async fn restart_all(client: &Client) -> anyhow::Result<()> {
    for name in NAMES {
        remove(client, name).await?;
    }
    led(client).await
}

/// Kills the process of an operator where it stands. In a cluster whose machines are others, its pod is removed
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
            let conditions = leader
                .status
                .iter()
                .flat_map(|status| status.conditions.iter().flatten());
            let ready = conditions
                .into_iter()
                .any(|it| it.type_ == "Ready" && it.status == "True");
            ensure!(
                ready && leader.metadata.deletion_timestamp.is_none(),
                "{} is not ready",
                leader.name_any()
            );
            Ok(())
        })
        .await?;
    }
    Ok(())
}
