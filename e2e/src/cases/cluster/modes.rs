//! How clients prove who they are: by each kind of password, and by certificate.

use anyhow::ensure;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::flow::{READY, prepared};
use crate::case::{Case, Context};
use crate::matrix::changes;
use crate::matrix::table::{self, Asked};
use crate::matrix::waves::{self, Databases};
use crate::matrix::{routes, transitions};
use crate::scene::fixtures::{self, POOL};
use crate::scene::pool::Expected;
use crate::scene::psql::Attempt;

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("modes::scram_and_md5_log_in", passwords),
        Case::cluster("modes::a_certificate_logs_in", certificate),
        Case::cluster("modes::without_tls_a_password_logs_in", plain),
        Case::cluster("modes::a_postgresql_that_demands_certificates_is_named", guarded),
        Case::cluster("modes::every_client_gets_what_the_rules_say", matrix),
        Case::cluster("modes::a_change_turns_no_client_away", changed),
    ]
}

async fn passwords(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene.put(&pool).await?;
    scene
        .put(&pool.named("older").with("/spec/clientAuthMode", json!("md5")))
        .await?;
    for name in [POOL, "older"] {
        scene.ready(name, READY).await?;
        let attempts = [
            Attempt::verify_full(),
            Attempt::wrong_password(),
            Attempt::plain(),
        ];
        let outcomes = scene.psql(name, context.database().await?, &attempts).await?;
        outcomes[0].expect_row()?;
        outcomes[1].expect_refusal("authentication failed")?;
        outcomes[2].expect_refusal("SSL off")?;
    }
    Ok(())
}

async fn certificate(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene
        .put(&pool.with("/spec/clientAuthMode", json!("cert")))
        .await?;
    scene.ready(POOL, READY).await?;
    let attempts = [Attempt::certificate(), Attempt::verify_full()];
    let outcomes = scene.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("certificate")?;
    Ok(())
}

async fn plain(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene
        .put(&pool.without("/spec/tls").with("/spec/sslMode", json!("disable")))
        .await?;
    scene.ready(POOL, READY).await?;
    let attempts = [Attempt::plain(), Attempt::encrypted()];
    let outcomes = scene.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_plain_row()?;
    outcomes[1].expect_refusal("does not support SSL")?;
    Ok(())
}

/// Pgpool has no certificate to show to PostgreSQL. Which user the pool logs in as decides which line of `pg_hba.conf`
/// fits it.
async fn guarded(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let database = context.database().await?;
    let place = database.scene();
    let credentials = fixtures::credentials(place.namespace(), database.password())
        .named("guarded-auth")
        .with("/stringData/username", json!("guarded"));
    place.put(&credentials).await?;
    let binding = database.app_binding(place.namespace(), "guarded").await?;
    place
        .put(&binding.clone().with("/spec/secret/name", json!("guarded-auth")))
        .await?;
    scene
        .put(&pool.with("/spec/postgresRef/name", json!("guarded")))
        .await?;
    let says = Expected(
        ConditionType::Ready,
        Status::False,
        Reason::BackendRejectsPool,
        &[
            "connection requires a valid client certificate",
            "/guarded)",
            "pg_hba.conf",
        ],
    );
    scene.says(POOL, says).await?;

    // The cure: a user whom PostgreSQL lets in without one.
    place.put(&binding).await?;
    scene.ready(POOL, READY).await?;
    Ok(())
}

/// Each mode with each method, and each PostgreSQL in turn. All three for each pair are in `cargo e2e report modes`.
async fn matrix(context: Context) -> anyhow::Result<()> {
    let scene = context.scene().await?;
    let databases = Databases::beside(scene.client(), context.database().await?.clone()).await?;
    let asked = waves::ask(
        &scene,
        &databases,
        &waves::pools(false),
        &context.workspace.progress,
    )
    .await;
    databases.remove().await?;
    let asked = asked?;
    let (cells, unexpected) = table::counts(&asked);
    let faults: Vec<_> = asked.iter().flat_map(Asked::unexpected).collect();
    ensure!(
        cells > 0 && unexpected == 0,
        "{cells} cells, {unexpected} unexpected:\n{}",
        faults.join("\n")
    );
    Ok(())
}

/// The changes that tell most. Every kind of change is in `cargo e2e report transitions`.
async fn changed(context: Context) -> anyhow::Result<()> {
    let scene = context.scene().await?;
    let databases = Databases::beside(scene.client(), context.database().await?.clone()).await?;
    let made =
        transitions::change_all(&scene, &databases, &routes::few()?, &context.workspace.progress).await;
    databases.remove().await?;
    let made = made?;
    let (transitions, cells, connections, unexpected) = changes::counts(&made);
    ensure!(
        transitions > 0 && cells > 0 && connections > 0 && unexpected == 0,
        "{}",
        changes::rendered(&made)
    );
    Ok(())
}
