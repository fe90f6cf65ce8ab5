//! The user's own settings: nonsense never reaches a pod, and what is good does.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::ListParams;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, is_true};
use shared_types::names;

use super::flow::{READY, prepared};
use crate::case::{Case, Context};
use crate::scene::fixtures::{Manifest, POOL};
use crate::scene::pods::Identities;
use crate::scene::pool::is_ready;
use crate::scene::psql::Attempt;
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
    vec![Case::cluster("settings::nonsense_reaches_no_pod", nonsense)]
}

/// How long it is looked whether a pod changes.
const WATCHED: Duration = Duration::from_secs(4);
/// The user's Secret.
const SETTINGS: &str = "settings";

fn settings(conf: &str) -> Manifest {
    Manifest::secret(SETTINGS, json!({"pgpool.conf": conf}))
}

async fn nonsense(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let pool = pool.without("/spec/tls").with("/spec/sslMode", json!("disable"));
    let loud = "max_pool = 3\nlog_min_messages = loud\n";
    scene.put(&settings(loud)).await?;
    scene
        .put(&pool.with("/spec/configuration", json!({"secretName": SETTINGS})))
        .await?;
    let place = format!("line 2 of Secret `{}/{SETTINGS}`", scene.namespace());
    let words = ["log_min_messages", "\"loud\"", &place];
    scene.stalled(POOL, Reason::ConfigurationInvalid, &words).await?;
    scene.no_workload(POOL).await?;

    // No edit of the Pgpool is needed.
    scene
        .put(&settings("max_pool = 3\nlog_min_messages = info\n"))
        .await?;
    scene.ready(POOL, READY).await?;
    nobody_is_asked(&scene).await?;
    let before = scene.identities(POOL).await?;

    // Nonsense of two kinds, one that pgpool finds and one that it would read past.
    scene.put(&settings(loud)).await?;
    scene.stalled(POOL, Reason::ConfigurationInvalid, &words).await?;
    scene.put(&settings("max_pol = 3\n")).await?;
    scene
        .stalled(POOL, Reason::ConfigurationInvalid, &["max_pol", "`max_pool`"])
        .await?;
    scene.delete::<Secret>(SETTINGS).await?;
    let place = format!("Secret `{}/{SETTINGS}`", scene.namespace());
    scene
        .waiting(POOL, Reason::ConfigurationSecretNotFound, &[&place])
        .await?;
    wait::throughout("the pods stay as they are", WATCHED, async || {
        before.same(&scene.identities(POOL).await?)
    })
    .await?;
    let outcomes = scene
        .psql(POOL, context.database().await?, &[Attempt::plain()])
        .await?;
    outcomes[0].expect_plain_row()?;

    // What a reload puts into effect.
    scene
        .put(&settings("max_pool = 3\nlog_min_messages = notice\n"))
        .await?;
    written(&scene, "log_min_messages = notice").await?;
    nobody_is_asked(&scene).await?;
    before.same(&scene.identities(POOL).await?)?;

    only_a_restart_does(&scene, &before).await?;
    the_rest_goes_on(&scene, loud).await
}

/// Changes a setting that needs a restart, and sees the pod replaced.
async fn only_a_restart_does(scene: &Scene, before: &Identities) -> anyhow::Result<()> {
    scene
        .put(&settings("max_pool = 4\nlog_min_messages = notice\n"))
        .await?;
    written(scene, "max_pool = 4").await?;
    wait::until("the pod is replaced", READY, async || {
        let now = scene.identities(POOL).await?;
        ensure!(before.same(&now).is_err(), "it is still the same pod");
        ensure!(
            is_ready(&scene.pgpool(POOL).await?),
            "{}",
            scene.told(POOL).await?
        );
        Ok(())
    })
    .await?;
    nobody_is_asked(scene).await
}

/// Whatever is wrong with the settings, a pod may be added, which gets those that the others have.
async fn the_rest_goes_on(scene: &Scene, bad: &str) -> anyhow::Result<()> {
    scene.put(&settings(bad)).await?;
    scene.edit(POOL, json!({"replicas": 2})).await?;
    wait::until("there are two pods, and people are told", READY, async || {
        let pgpool = scene.pgpool(POOL).await?;
        let status = pgpool.status.unwrap_or_default();
        let ready = status.pods.iter().filter(|pod| pod.ready).count();
        ensure!(ready == 2, "{ready}");
        ensure!(is_true(&status.conditions, ConditionType::Stalled), "not stalled");
        Ok(())
    })
    .await?;
    scene
        .stalled(POOL, Reason::ConfigurationInvalid, &["log_min_messages"])
        .await
}

/// Waits until a line stands in what the pods get.
async fn written(scene: &Scene, line: &str) -> anyhow::Result<()> {
    let name = names::config_secret(&scene.pgpool(POOL).await?);
    let what = format!("has the line {line}");
    wait::object(&scene.api::<Secret>(), &name, SOON, &what, |secret: &Secret| {
        let conf = secret.data.as_ref().and_then(|data| data.get("pgpool.conf"));
        let conf = String::from_utf8_lossy(conf.map_or(&[], |conf| &conf.0));
        ensure!(conf.lines().any(|it| it == line), "{conf}");
        Ok(())
    })
    .await?;
    Ok(())
}

/// Nothing is left of what pgpool was asked about.
async fn nobody_is_asked(scene: &Scene) -> anyhow::Result<()> {
    wait::until("nothing is left to be judged", SOON, async || {
        let labels = ListParams::default().labels(names::LABEL_CONFIG_CHECK_OF);
        let pods = scene.api::<Pod>().list(&labels).await?.items;
        let secrets = scene.api::<Secret>().list(&ListParams::default()).await?.items;
        let prefix = names::config_check(POOL, "");
        let left = secrets
            .iter()
            .map(ResourceExt::name_any)
            .filter(|name| name.starts_with(&prefix));
        let left: Vec<_> = left.chain(pods.iter().map(ResourceExt::name_any)).collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}
