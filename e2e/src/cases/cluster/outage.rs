//! PostgreSQL goes away and comes back: the pool says so, its pods stay as they are, and it recovers by itself.

use serde_json::json;
use shared_types::Phase;
use shared_types::conditions::{ConditionType, Reason, Status};

use anyhow::ensure;

use super::flow::READY;
use crate::case::{Case, Context};
use crate::scene::database::Database;
use crate::scene::fixtures::{self, ISSUER, POOL};
use crate::scene::offer_version;
use crate::scene::pool::Expected;
use crate::scene::psql::Attempt;

pub fn cases() -> Vec<Case> {
    vec![Case::cluster("outage::a_pool_outlives_its_postgresql", outage)]
}

async fn outage(context: Context) -> anyhow::Result<()> {
    let database = Database::start(&context.client, "e2e-outage").await?;
    let played = played(&context, &database).await;
    let removed = database.scene().remove().await;
    played.and(removed)
}

async fn played(context: &Context, database: &Database) -> anyhow::Result<()> {
    let scene = context.scene().await?;
    offer_version(scene.client()).await?;
    scene.apply(ISSUER).await?;
    let often = json!({"periodSeconds": 1, "timeoutSeconds": 5});
    let pool = fixtures::pgpool(database.scene().namespace())?.with("/spec/healthChecker", often);
    scene.put(&pool.with("/spec/replicas", json!(2))).await?;
    scene.ready(POOL, READY).await?;
    let before = scene.identities(POOL).await?;

    database.scale(0).await?;
    // In brackets: the name of the Secret begins alike.
    let binding = format!("(AppBinding {}/postgres)", database.scene().namespace());
    let cure = format!("{binding} runs and accepts connections");
    let words = ["postgres.", &binding, &cure];
    let says = |condition| {
        Expected(
            condition,
            Status::False,
            Reason::DatabaseNotAcceptingConnectionRequest,
            &words,
        )
    };
    scene.says(POOL, says(ConditionType::AcceptingConnection)).await?;
    let phase = scene.pgpool(POOL).await?.status.and_then(|status| status.phase);
    ensure!(phase == Some(Phase::NotReady), "the phase is {phase:?}");
    before.same(&scene.identities(POOL).await?)?;

    database.scale(1).await?;
    scene.ready(POOL, READY).await?;
    before.same(&scene.identities(POOL).await?)?;
    let outcomes = scene.psql(POOL, database, &[Attempt::verify_full()]).await?;
    outcomes[0].expect_row()
}
