//! A Pgpool in front of a PostgreSQL of another namespace: only with the consent of its owner, and without it nobody learns
//! whether there is one.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{self, ConditionType, Reason};
use shared_types::{AppBinding, names};

use crate::case::shared_fixtures::watched;
use crate::case::{Case, Context};
use crate::namespace::fixtures::{self, DATABASE, POOL};
use crate::namespace::{SOON, TestNamespace};

const USERS: &str = "pool-users";

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::api(
        "backend::in_another_namespace_it_needs_consent",
        consent,
    )]
}

async fn consent(context: Context) -> anyhow::Result<()> {
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    let database = TestNamespace::create(&pair.plane().client(), "databases").await?;
    Box::pin(watched(pair, &ns, case(&ns, &database))).await
}

async fn case(ns: &TestNamespace, database: &TestNamespace) -> anyhow::Result<()> {
    let pool = fixtures::plain_pgpool(database.name())?.with("/spec/syncUsers", json!(true));
    ns.put(&pool).await?;
    let absent = refused(ns, "allowed-namespaces").await?;
    database.backend().await?;
    allow(database, Some("elsewhere, *.example.com")).await?;
    // Made again, it is observed again.
    ns.delete::<shared_types::Pgpool>(POOL).await?;
    wait::gone(&ns.api::<shared_types::Pgpool>(), POOL, SOON).await?;
    ns.put(&pool).await?;
    let present = refused(ns, "allowed-namespaces").await?;
    ensure!(absent == present, "it reveals what exists:\n{absent}\n{present}");
    ensure!(
        users(ns).await?.is_none(),
        "passwords were copied without consent"
    );

    allow(database, Some(&format!("elsewhere, {}", ns.name()))).await?;
    ns.workload(POOL).await?;
    let copy = users(ns).await?.context("no passwords were copied")?;

    allow(database, None).await?;
    refused(ns, "only other passwords in PostgreSQL").await?;
    database
        .put(&fixtures::credentials(database.name(), "another"))
        .await?;
    ns.edit(POOL, json!({"replicas": 2})).await?;
    refused(ns, "only other passwords in PostgreSQL").await?;
    let kept = users(ns).await?.context("the copy is gone")?;
    ensure!(
        kept.resource_version() == copy.resource_version(),
        "the copy was written"
    );

    allow(database, Some(ns.name())).await?;
    wait::until("the passwords are copied again", SOON, async || {
        let copied = users(ns).await?.context("the copy is gone")?;
        ensure!(copied.resource_version() != kept.resource_version(), "not yet");
        Ok(())
    })
    .await
}

/// Waits until the Pgpool is refused for its current generation, and returns the message.
async fn refused(ns: &TestNamespace, words: &str) -> anyhow::Result<String> {
    ns.stalled(POOL, Reason::AppBindingForbidden, &[words]).await?;
    let pgpool = ns.pgpool(POOL).await?;
    let status = pgpool.status.context("no status")?;
    let stalled = conditions::find(&status.conditions, ConditionType::Stalled).context("not stalled")?;
    Ok(stalled.message.clone())
}

async fn allow(database: &TestNamespace, namespaces: Option<&str>) -> anyhow::Result<()> {
    let annotations = json!({ names::ANNOTATION_ALLOWED_NAMESPACES: namespaces });
    let patch = json!({ "metadata": { "annotations": annotations } });
    let params = kube::api::PatchParams::default();
    database
        .api::<AppBinding>()
        .patch(DATABASE, &params, &kube::api::Patch::Merge(&patch))
        .await?;
    Ok(())
}

async fn users(ns: &TestNamespace) -> anyhow::Result<Option<Secret>> {
    Ok(ns.api::<Secret>().get_opt(USERS).await?)
}
