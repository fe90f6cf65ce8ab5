//! Requests where no pod runs: they wait, begin, give way and are refused as they should, and cost nothing when that is
//! said.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use shared_types::ops_request::OpsPhase;

use super::writes::Writes;
use crate::cases::props::watched;
use crate::cases::{Case, Context};
use crate::scene::fixtures::{self, POOL};
use crate::scene::operation::request;
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
    vec![Case::api(
        "operations::one_at_a_time_and_every_reason_is_told",
        |context| Box::pin(one_at_a_time(context)),
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
    let ask = async |name: &str, type_: &str, rest: Value, phase: OpsPhase, reason: &str| {
        scene.put(&request(name, POOL, type_, rest)).await?;
        scene
            .operation_is(name, phase, reason, SOON)
            .await
            .with_context(|| name.to_owned())
    };
    let three = || json!({"horizontalScaling": {"node": 3}});
    ask(
        "scale",
        "HorizontalScaling",
        three(),
        OpsPhase::Pending,
        "PgpoolNotFound",
    )
    .await?;
    let pool = fixtures::pgpool(scene.namespace())?
        .without("/spec/tls")
        .with("/spec/sslMode", json!("disable"));
    scene.put(&pool).await?;
    // There are no pods, so it never is ready. Others pass.
    scene
        .operation_is("scale", OpsPhase::Pending, "PgpoolNotReady", SOON)
        .await?;
    let always = || json!({"apply": "Always"});
    let begun = ask(
        "first",
        "Restart",
        always(),
        OpsPhase::Progressing,
        "WaitingForPgpool",
    )
    .await?;
    let pgpool = scene.pgpool(POOL).await?;
    ensure!(
        begun.database_generation == pgpool.metadata.generation,
        "{begun:?}"
    );
    ensure!(pgpool.spec.replicas() == 1, "it was scaled out of its turn");

    // One runs: those that could are queued, the older of two gives way, and what cannot be is told at once.
    ask("second", "Restart", always(), OpsPhase::Pending, "Queued").await?;
    // Of two that are made in the same second the smallest name counts as the newer one.
    ask("a-third", "Restart", always(), OpsPhase::Pending, "Queued").await?;
    scene
        .operation_is("second", OpsPhase::Skipped, "Superseded", SOON)
        .await?;
    let version = json!({"apply": "Always", "updateVersion": {"targetVersion": "4.99.0"}});
    scene
        .put(&request("unknown", POOL, "UpdateVersion", version))
        .await?;
    refused(scene, "unknown", "VersionNotFound").await?;
    let rotate = json!({"tls": {"rotateCertificates": true}});
    scene
        .put(&request("rotate", POOL, "ReconfigureTLS", rotate))
        .await?;
    refused(scene, "rotate", "NoCertificates").await?;
    let secret = json!({"configuration": {"configSecret": {"name": "nowhere"}}});
    scene
        .put(&request("settings", POOL, "Reconfigure", secret))
        .await?;
    refused(scene, "settings", "SecretNotFound").await?;
    let short = json!({"apply": "Always", "timeout": "1s", "horizontalScaling": {"node": 3}});
    scene.put(&pool.named("other")).await?;
    scene
        .put(&request("short", "other", "HorizontalScaling", short))
        .await?;
    refused(scene, "short", "TimedOut").await?;
    ensure!(
        scene.pgpool("other").await?.spec.replicas() == 3,
        "what was changed stays"
    );

    // The rules of the Pgpool hold for requests too: certificates of no issuer.
    let nobody =
        json!({"apply": "Always", "tls": {"certificates": [{"alias": "server"}], "sslMode": "require"}});
    scene
        .put(&request("nobody", "other", "ReconfigureTLS", nobody))
        .await?;
    refused(scene, "nobody", "ChangeRefused").await?;

    writes.over().await?;
    writes.none().await
}

async fn refused(scene: &Scene, name: &str, reason: &str) -> anyhow::Result<()> {
    let refused = crate::wait::until(&format!("{name} is refused"), SOON, async || {
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
