//! Prometheus scrapes a pool as soon as it can: the kind `ServiceMonitor` may come after the pool, an invalid setting
//! is reported, and what Prometheus no longer reads is deleted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::{manifests, wait};
use serde_json::{Value, json};
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, Reason};

use crate::case::shared_fixtures::{OperatorPair, watched};
use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{self, Manifest, POOL};
use crate::namespace::pool::Expected;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::api(
        "monitor::the_service_monitor_follows_its_kind",
        follows,
    )]
}

/// The kind is noticed within half a minute, where nothing else keeps the machine busy.
const NOTICED: Duration = Duration::from_mins(2);

/// The Service and the `ServiceMonitor` of the pool.
const STATS: &str = "pool-stats";

async fn follows(context: Context) -> anyhow::Result<()> {
    let plane = Arc::new(ControlPlane::start(context.programs()?, CertManager::Absent).await?);
    let pair = OperatorPair::start(&context, Arc::clone(&plane)).await?;
    let ns = TestNamespace::create(&plane.client(), "monitor").await?;
    ns.backend().await?;
    let definition = context.workspace.service_monitor_crd()?;
    let definition =
        std::fs::read_to_string(&definition).with_context(|| format!("reading {}", definition.display()))?;
    Box::pin(watched(&pair, &ns, played(&plane, &ns, &definition))).await
}

/// A pool that is scraped, and needs no certificate for that.
fn scraped(ns: &TestNamespace, name: &str, monitor: Value) -> anyhow::Result<Manifest> {
    let pool = fixtures::pgpool(ns.name())?.named(name).without("/spec/tls");
    Ok(pool
        .with("/spec/sslMode", json!("disable"))
        .with("/spec/monitor", monitor))
}

fn monitors(ns: &TestNamespace) -> Api<DynamicObject> {
    ns.dynamic("monitoring.coreos.com", "v1", "ServiceMonitor")
}

async fn says(ns: &TestNamespace, pool: &str, reason: Reason, words: &[&str]) -> anyhow::Result<()> {
    let says = Expected(
        ConditionType::Monitored,
        (reason == Reason::MetricsExposed).into(),
        reason,
        words,
    );
    ns.has_condition(pool, says).await?;
    Ok(())
}

async fn played(plane: &ControlPlane, ns: &TestNamespace, definition: &str) -> anyhow::Result<()> {
    let requested = json!({
        "agent": "prometheus.io/operator",
        "prometheus": {"serviceMonitor": {
            "labels": {"release": "prometheus"}, "interval": "10s", "targetLabels": ["team"],
            "podTargetLabels": ["tier"],
            "endpoints": [{"port": "metrics", "relabelings": [{"action": "labeldrop", "regex": "endpoint"}],
                "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "go_.*", "action": "drop"}]}],
        }},
    });
    ns.put(&scraped(ns, POOL, requested)?).await?;
    ns.workload(POOL).await?;
    let words = ["ServiceMonitor", STATS, "install the Prometheus operator"];
    says(ns, POOL, Reason::PrometheusOperatorAbsent, &words).await?;
    wait::object(&ns.api::<Secret>(), "pool-exporter", NOTICED, "is there", |_| {
        Ok(())
    })
    .await?;
    ensure!(
        monitors(ns).list(&ListParams::default()).await.is_err(),
        "the kind is there already"
    );

    manifests::apply(&plane.client(), "", definition).await?;
    let api: Api<CustomResourceDefinition> = Api::all(plane.client());
    wait::object(
        &api,
        "servicemonitors.monitoring.coreos.com",
        NOTICED,
        "is served",
        |_| Ok(()),
    )
    .await?;
    let found = wait::object(&monitors(ns), STATS, NOTICED, "is made", |_| Ok(())).await?;
    says(ns, POOL, Reason::MetricsExposed, &[STATS]).await?;
    as_asked(ns, &found).await?;
    answered(ns).await?;
    withdrawn(ns).await
}

/// What Prometheus reads is what the user wrote, and selects the Service of this pool alone.
async fn as_asked(ns: &TestNamespace, found: &DynamicObject) -> anyhow::Result<()> {
    let endpoint = &found.data["spec"]["endpoints"][0];
    ensure!(
        endpoint["port"] == "metrics" && endpoint["path"] == "/metrics",
        "{endpoint}"
    );
    ensure!(
        endpoint["interval"] == "10s" && endpoint["honorLabels"] == true,
        "{endpoint}"
    );
    ensure!(
        endpoint["relabelings"]
            .as_array()
            .is_some_and(|all| all.len() == 2),
        "{endpoint}"
    );
    ensure!(endpoint["metricRelabelings"][0]["regex"] == "go_.*", "{endpoint}");
    let labels = found.metadata.labels.clone().unwrap_or_default();
    ensure!(
        labels.get("release").is_some_and(|it| it == "prometheus"),
        "{labels:?}"
    );
    let selector = found.data["spec"]["selector"]["matchLabels"]
        .as_object()
        .context("no selector")?;
    let selector: Vec<_> = selector
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("?")))
        .collect();
    let services = ns
        .api::<Service>()
        .list(&ListParams::default().labels(&selector.join(",")))
        .await?;
    let names: Vec<_> = services
        .items
        .iter()
        .filter_map(|it| it.metadata.name.as_deref())
        .collect();
    ensure!(names == [STATS], "{names:?}");
    let pool = ns.pgpool(POOL).await?.metadata.uid;
    let owners = found.metadata.owner_references.clone().unwrap_or_default();
    ensure!(
        owners.iter().any(|owner| Some(&owner.uid) == pool.as_ref()),
        "{owners:?}"
    );
    Ok(())
}

/// An invalid ServiceMonitor is reported, and does not block anything else.
async fn answered(ns: &TestNamespace) -> anyhow::Result<()> {
    let endpoints = json!([{"port": "metrics", "relabelings": [{"action": "nonsense"}]}]);
    let bad = json!({"agent": "prometheus.io/operator", "prometheus": {"serviceMonitor": {"endpoints": endpoints}}});
    ns.put(&scraped(ns, "bad", bad)?).await?;
    says(
        ns,
        "bad",
        Reason::ConfigurationInvalid,
        &["bad-stats", "relabelings[1].action"],
    )
    .await?;
    ns.workload("bad").await?;
    let foreign = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "taken-stats"},
        "spec": {"selector": {}, "endpoints": []},
    });
    ns.put(&Manifest(foreign)).await?;
    let taken = scraped(ns, "taken", json!({"agent": "prometheus.io"}))?;
    ns.put(&taken).await?;
    says(
        ns,
        "taken",
        Reason::NameConflict,
        &["taken-stats", "someone else"],
    )
    .await?;
    ns.workload("taken").await?;
    Ok(())
}

/// What Prometheus no longer reads is deleted, and nothing of someone else's.
async fn withdrawn(ns: &TestNamespace) -> anyhow::Result<()> {
    let builtin = json!({"monitor": {"agent": "prometheus.io/builtin", "prometheus": null}});
    ns.edit(POOL, builtin).await?;
    wait::gone(&monitors(ns), STATS, NOTICED).await?;
    wait::object(
        &ns.api::<Service>(),
        STATS,
        NOTICED,
        "has the annotations for scraping",
        |service| {
            let annotations = service.metadata.annotations.clone().unwrap_or_default();
            ensure!(
                annotations
                    .get("prometheus.io/port")
                    .is_some_and(|port| port == "9719"),
                "{annotations:?}"
            );
            Ok(())
        },
    )
    .await?;
    says(ns, POOL, Reason::MetricsExposed, &["annotations"]).await?;
    for (pool, monitor) in [(POOL, None), ("taken", Some("taken-stats"))] {
        ns.edit(pool, json!({ "monitor": null })).await?;
        wait::gone(&ns.api::<Service>(), &format!("{pool}-stats"), NOTICED).await?;
        if let Some(name) = monitor {
            ensure!(
                monitors(ns).get_opt(name).await?.is_some(),
                "{name} belongs to someone else"
            );
        }
        wait::object(
            &ns.api::<Pgpool>(),
            pool,
            NOTICED,
            "speaks of it no more",
            |pool| {
                let conditions = pool.status.iter().flat_map(|status| &status.conditions);
                let found = conditions
                    .filter(|it| it.type_ == ConditionType::Monitored.as_str())
                    .count();
                ensure!(found == 0, "condition Monitored is left");
                Ok(())
            },
        )
        .await?;
    }
    Ok(())
}
