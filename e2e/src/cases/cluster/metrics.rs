//! Metrics are read in every security mode: the exporter logs in to pgpool as strictly as clients have to.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Pod;
use local_cluster::wait;
use serde_json::json;
use shared_types::{ClientAuthMode, SslMode};

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::fixtures::{Manifest, POOL};
use crate::namespace::{TestNamespace, scrape};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster("metrics::every_mode_is_scraped", every_mode),
        Case::cluster("metrics::an_exporter_that_fails_takes_no_pod_down", failing),
    ]
}

/// Every combination that is allowed, by the name of its pool.
fn modes(pool: &Manifest) -> Vec<(String, Manifest)> {
    let ssl = [
        SslMode::Disable,
        SslMode::Allow,
        SslMode::Prefer,
        SslMode::Require,
        SslMode::VerifyCa,
        SslMode::VerifyFull,
    ];
    let auth = [ClientAuthMode::Md5, ClientAuthMode::Scram, ClientAuthMode::Cert];
    let all = ssl.into_iter().flat_map(|ssl| auth.map(|auth| (ssl, auth)));
    let allowed = all.filter(|(ssl, auth)| ssl.enabled() || *auth != ClientAuthMode::Cert);
    allowed
        .map(|(ssl, auth)| {
            let name = format!("{ssl}-{}", json!(auth).as_str().unwrap_or_default());
            let pool = if ssl.enabled() {
                pool.clone()
            } else {
                pool.clone().without("/spec/tls")
            };
            let pool = pool
                .named(&name)
                .with("/spec/sslMode", json!(ssl))
                .with("/spec/clientAuthMode", json!(auth))
                .with("/spec/monitor", json!({"agent": "prometheus.io/builtin"}));
            (name, pool)
        })
        .collect()
}

async fn every_mode(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let modes = modes(&pool);
    ensure!(modes.len() == 17, "{} modes", modes.len());
    for (_, pool) in &modes {
        ns.put(pool).await?;
    }
    for (name, _) in &modes {
        ns.ready(name, READY * 2).await?;
        up(&ns, name).await.with_context(|| format!("the mode {name}"))?;
    }
    Ok(())
}

/// Waits until a scrape finds pgpool up, with a PostgreSQL behind it.
pub(super) async fn up(ns: &TestNamespace, pool: &str) -> anyhow::Result<()> {
    wait::until(
        &format!("a scrape of {pool} reads pgpool2_up 1"),
        READY,
        async || {
            let metrics = ns.scrape(pool).await?;
            ensure!(scrape::value(&metrics, "pgpool2_up") == Some("1"), "{metrics}");
            ensure!(metrics.contains("pgpool2_pool_nodes_status{"), "{metrics}");
            Ok(())
        },
    )
    .await
}

/// An exporter that ends at once, over and over, is no reason to keep clients away.
async fn failing(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let monitor =
        json!({"agent": "prometheus.io/builtin", "prometheus": {"exporter": {"args": ["--no-such-flag"]}}});
    ns.apply_and_wait(&pool.with("/spec/monitor", monitor), READY)
        .await?;
    ensure!(ns.scrape(POOL).await.is_err(), "the exporter runs");
    // Repaired, it is a new pod, and scraped.
    ns.edit(
        POOL,
        json!({"monitor": {"prometheus": {"exporter": {"args": null}}}}),
    )
    .await?;
    ns.ready(POOL, READY).await?;
    up(&ns, POOL).await?;
    let pods: Vec<Pod> = ns.pods(POOL).await?;
    let statuses = pods
        .iter()
        .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref())
        .flatten();
    let restarts: i32 = statuses.map(|container| container.restart_count).sum();
    ensure!(restarts == 0, "containers were restarted: {restarts}");
    Ok(())
}
