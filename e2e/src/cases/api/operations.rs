//! Requests where no pod runs: they wait, begin, give way and are refused as they should, and cost nothing when that is
//! said.

use anyhow::{Context as _, ensure};
use serde_json::json;
use shared_types::PgpoolOpsRequestStatus;
use shared_types::ops_request::OpsPhase;

use super::writes::Writes;
use crate::case::{Case, Context};
use crate::cases::props::watched;
use crate::scene::fixtures::{self, Manifest, POOL};
use crate::scene::operation::request;
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
    vec![Case::api(
        "operations::one_at_a_time_and_every_reason_is_told",
        one_at_a_time,
    )]
}

async fn one_at_a_time(context: Context) -> anyhow::Result<()> {
    let company = context.served().await?;
    let scene = context.scene().await?;
    scene.backend().await?;
    let writes = Writes::of(company, &scene);
    watched(company, &scene, played(&scene, &writes)).await
}

async fn played(scene: &Scene, writes: &Writes) -> anyhow::Result<()> {
    let three = json!({"horizontalScaling": {"node": 3}});
    let scale = request("scale", POOL, "HorizontalScaling", three);
    told(scene, &scale, "scale", OpsPhase::Pending, "PgpoolNotFound").await?;
    let pool = fixtures::pgpool(scene.namespace())?
        .without("/spec/tls")
        .with("/spec/sslMode", json!("disable"));
    scene.put(&pool).await?;
    // There are no pods, so it never is ready. Others pass.
    scene
        .operation_is("scale", OpsPhase::Pending, "PgpoolNotReady", SOON)
        .await?;
    let restart = |name| request(name, POOL, "Restart", json!({"apply": "Always"}));
    let first = restart("first");
    let begun = told(scene, &first, "first", OpsPhase::Progressing, "WaitingForPgpool").await?;
    let pgpool = scene.pgpool(POOL).await?;
    ensure!(
        begun.database_generation == pgpool.metadata.generation,
        "{begun:?}"
    );
    ensure!(pgpool.spec.replicas() == 1, "it was scaled out of its turn");

    // One runs: those that could are queued, the older of two gives way, and what cannot be is told at once.
    told(scene, &restart("second"), "second", OpsPhase::Pending, "Queued").await?;
    // Of two that are made in the same second the smallest name counts as the newer one.
    told(scene, &restart("a-third"), "a-third", OpsPhase::Pending, "Queued").await?;
    scene
        .operation_is("second", OpsPhase::Skipped, "Superseded", SOON)
        .await?;
    refusals(scene, pool).await?;

    writes.over().await?;
    writes.none().await
}

/// What cannot be, each with its reason, however long the queue is.
async fn refusals(scene: &Scene, pool: Manifest) -> anyhow::Result<()> {
    // For the last two, and early: a request runs out of time as well where its Pgpool is not noticed yet.
    scene.put(&pool.named("other")).await?;
    let version = json!({"apply": "Always", "updateVersion": {"targetVersion": "4.99.0"}});
    let unknown = request("unknown", POOL, "UpdateVersion", version);
    refused(scene, &unknown, "unknown", "VersionNotFound").await?;
    let rotate = json!({"tls": {"rotateCertificates": true}});
    let rotate = request("rotate", POOL, "ReconfigureTLS", rotate);
    refused(scene, &rotate, "rotate", "NoCertificates").await?;
    let secret = json!({"configuration": {"configSecret": {"name": "nowhere"}}});
    let settings = request("settings", POOL, "Reconfigure", secret);
    refused(scene, &settings, "settings", "SecretNotFound").await?;

    // Long enough for the change itself, whatever the machine does beside.
    let short = json!({"apply": "Always", "timeout": "4s", "horizontalScaling": {"node": 3}});
    let short = request("short", "other", "HorizontalScaling", short);
    refused(scene, &short, "short", "TimedOut").await?;
    ensure!(
        scene.pgpool("other").await?.spec.replicas() == 3,
        "what was changed stays"
    );

    // The rules of the Pgpool hold for requests too: certificates of no issuer.
    let nobody =
        json!({"apply": "Always", "tls": {"certificates": [{"alias": "server"}], "sslMode": "require"}});
    let nobody = request("nobody", "other", "ReconfigureTLS", nobody);
    refused(scene, &nobody, "nobody", "ChangeRejected").await
}

async fn told(
    scene: &Scene,
    request: &Manifest,
    name: &str,
    phase: OpsPhase,
    reason: &str,
) -> anyhow::Result<PgpoolOpsRequestStatus> {
    scene.put(request).await?;
    scene
        .operation_is(name, phase, reason, SOON)
        .await
        .with_context(|| name.to_owned())
}

async fn refused(scene: &Scene, request: &Manifest, name: &str, reason: &str) -> anyhow::Result<()> {
    scene.put(request).await?;
    let refused = local_cluster::wait::until(&format!("{name} is refused"), SOON, async || {
        let status = scene.operation(name).await?.status.unwrap_or_default();
        ensure!(
            status.phase == Some(OpsPhase::Failed),
            "{}",
            crate::scene::operation::told(&status)
        );
        Ok(status)
    })
    .await?;
    let last = refused.conditions.last().context("no conditions")?;
    ensure!(last.type_ == "Failed" && last.reason == reason, "{last:?}");
    let stalled = refused
        .conditions
        .iter()
        .any(|it| it.type_ == "Stalled" && it.status == "True");
    ensure!(stalled, "tools do not see that it failed");
    Ok(())
}
