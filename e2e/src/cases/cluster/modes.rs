//! How clients prove who they are: by each kind of password, and by certificate.

use serde_json::json;

use super::flow::{READY, prepared};
use crate::cases::{Case, Context};
use crate::scene::fixtures::POOL;
use crate::scene::psql::Attempt;

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("modes::scram_and_md5_log_in", |context| {
            Box::pin(passwords(context))
        }),
        Case::cluster("modes::a_certificate_logs_in", |context| {
            Box::pin(certificate(context))
        }),
        Case::cluster("modes::without_tls_a_password_logs_in", |context| {
            Box::pin(plain(context))
        }),
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
