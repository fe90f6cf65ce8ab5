//! PostgreSQL stops and starts again: the pool reports it, its pods stay as they are, and it recovers automatically.

use serde_json::json;
use shared_types::Phase;
use shared_types::conditions::{ConditionType, Reason, Status};

use anyhow::ensure;

use super::verified_clients::READY;
use crate::case::{Case, Context};
use crate::namespace::database::Database;
use crate::namespace::fixtures::{self, ISSUER, POOL};
use crate::namespace::offer_version;
use crate::namespace::pool::Expected;
use crate::namespace::psql::Attempt;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::cluster("outage::a_pool_outlives_its_postgresql", outage)]
}

async fn outage(context: Context) -> anyhow::Result<()> {
    let database = Database::start(&context.client, "e2e-outage").await?;
    let played = played(&context, &database).await;
    let removed = database.namespace().remove().await;
    played.and(removed)
}

async fn played(context: &Context, database: &Database) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    offer_version(ns.client()).await?;
    ns.apply(ISSUER).await?;
    let often = json!({"periodSeconds": 1, "timeoutSeconds": 5});
    let pool = fixtures::pgpool(database.namespace().name())?.with("/spec/healthChecker", often);
    ns.apply_and_wait(&pool.with("/spec/replicas", json!(2)), READY)
        .await?;
    let before = ns.identities(POOL).await?;

    database.scale(0).await?;
    // In brackets: the name of the Secret begins alike.
    let binding = format!("(AppBinding {}/postgres)", database.namespace().name());
    let fix = format!("{binding} is running and accepts connections");
    let words = ["postgres.", &binding, &fix];
    let says = |condition| {
        Expected(
            condition,
            Status::False,
            Reason::DatabaseNotAcceptingConnectionRequest,
            &words,
        )
    };
    ns.has_condition(POOL, says(ConditionType::AcceptingConnection))
        .await?;
    let phase = ns.pgpool(POOL).await?.status.and_then(|status| status.phase);
    ensure!(phase == Some(Phase::NotReady), "the phase is {phase:?}");
    before.same(&ns.identities(POOL).await?)?;

    database.scale(1).await?;
    ns.ready(POOL, READY).await?;
    before.same(&ns.identities(POOL).await?)?;
    ns.gets_row(POOL, database, Attempt::verify_full()).await
}
