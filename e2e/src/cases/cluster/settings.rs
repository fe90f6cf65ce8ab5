//! The user's own settings: invalid ones never reach a pod, valid ones do.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::ListParams;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, is_true};
use shared_types::names;

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::fixtures::{Manifest, POOL};
use crate::namespace::pods::Identities;
use crate::namespace::pool::is_ready;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::cluster("settings::nonsense_reaches_no_pod", nonsense)]
}

/// How long it is looked whether a pod changes.
const WATCHED: Duration = Duration::from_secs(4);
const SETTINGS: &str = "settings";

fn settings(conf: &str) -> Manifest {
    Manifest::secret(SETTINGS, json!({"pgpool.conf": conf}))
}

async fn nonsense(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let pool = pool.without_tls();
    let loud = "max_pool = 3\nlog_min_messages = loud\n";
    ns.put(&settings(loud)).await?;
    ns.put(&pool.with("/spec/configuration", json!({"secretName": SETTINGS})))
        .await?;
    let place = format!("line 2 of Secret `{}/{SETTINGS}`", ns.name());
    let words = ["log_min_messages", "(value not shown)", &place];
    ns.stalled(POOL, Reason::ConfigurationInvalid, &words).await?;
    ns.no_workload(POOL).await?;

    // No edit of the Pgpool is needed.
    ns.put(&settings("max_pool = 3\nlog_min_messages = info\n"))
        .await?;
    ns.ready(POOL, READY).await?;
    no_config_check(&ns).await?;
    let before = ns.identities(POOL).await?;

    // Nonsense of two kinds, one that pgpool finds and one that it would read past.
    ns.put(&settings(loud)).await?;
    ns.stalled(POOL, Reason::ConfigurationInvalid, &words).await?;
    ns.put(&settings("max_pol = 3\n")).await?;
    ns.stalled(POOL, Reason::ConfigurationInvalid, &["in line 1", "`max_pool`"])
        .await?;
    ns.delete::<Secret>(SETTINGS).await?;
    let place = format!("Secret `{}/{SETTINGS}`", ns.name());
    ns.waiting(POOL, Reason::ConfigurationSecretNotFound, &[&place])
        .await?;
    wait::throughout("the pods stay as they are", WATCHED, async || {
        before.same(&ns.identities(POOL).await?)
    })
    .await?;
    ns.gets_plain_row(POOL, context.database().await?).await?;

    // What a reload puts into effect.
    ns.put(&settings("max_pool = 3\nlog_min_messages = notice\n"))
        .await?;
    written(&ns, "log_min_messages = notice").await?;
    no_config_check(&ns).await?;
    before.same(&ns.identities(POOL).await?)?;

    only_a_restart_does(&ns, &before).await?;
    the_rest_continues(&ns, loud).await
}

/// Changes a setting that needs a restart, and sees the pod replaced.
async fn only_a_restart_does(ns: &TestNamespace, before: &Identities) -> anyhow::Result<()> {
    ns.put(&settings("max_pool = 4\nlog_min_messages = notice\n"))
        .await?;
    written(ns, "max_pool = 4").await?;
    wait::until("the pod is replaced", READY, async || {
        let now = ns.identities(POOL).await?;
        ensure!(before.same(&now).is_err(), "it is still the same pod");
        ensure!(
            is_ready(&ns.pgpool(POOL).await?),
            "{}",
            ns.conditions(POOL).await?
        );
        Ok(())
    })
    .await?;
    no_config_check(ns).await
}

/// Whatever is wrong with the settings, a pod may be added, which gets those that the others have.
async fn the_rest_continues(ns: &TestNamespace, bad: &str) -> anyhow::Result<()> {
    ns.put(&settings(bad)).await?;
    ns.edit(POOL, json!({"replicas": 2})).await?;
    wait::until(
        "there are two pods, and the condition Stalled",
        READY,
        async || {
            let pgpool = ns.pgpool(POOL).await?;
            let status = pgpool.status.unwrap_or_default();
            let ready = status.pods.iter().filter(|pod| pod.ready).count();
            ensure!(ready == 2, "{ready}");
            ensure!(is_true(&status.conditions, ConditionType::Stalled), "not stalled");
            Ok(())
        },
    )
    .await?;
    ns.stalled(POOL, Reason::ConfigurationInvalid, &["log_min_messages"])
        .await
}

/// Waits until a line is in the settings of the pods.
async fn written(ns: &TestNamespace, line: &str) -> anyhow::Result<()> {
    let name = names::config_secret(&ns.pgpool(POOL).await?);
    let what = format!("has the line {line}");
    wait::object(&ns.api::<Secret>(), &name, SOON, &what, |secret: &Secret| {
        let conf = secret.data.as_ref().and_then(|data| data.get("pgpool.conf"));
        let conf = String::from_utf8_lossy(conf.map_or(&[], |conf| &conf.0));
        ensure!(conf.lines().any(|it| it == line), "{conf}");
        Ok(())
    })
    .await?;
    Ok(())
}

/// Nothing is left of the config checks.
async fn no_config_check(ns: &TestNamespace) -> anyhow::Result<()> {
    wait::until("no config check is left", SOON, async || {
        let labels = ListParams::default().labels(names::LABEL_CONFIG_CHECK_OF);
        let pods = ns.api::<Pod>().list(&labels).await?.items;
        let secrets = ns.api::<Secret>().list(&ListParams::default()).await?.items;
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
