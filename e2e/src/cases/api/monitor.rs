//! Prometheus is told of a pool as soon as it can be: the kind `ServiceMonitor` may come after the pool, a bad setting
//! is answered, and what nobody reads any more goes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::{manifests, wait};
use serde_json::{Value, json};
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, Reason};

use crate::case::{Case, Context};
use crate::cases::props::{Company, watched};
use crate::scene::Scene;
use crate::scene::fixtures::{self, Manifest, POOL};
use crate::scene::pool::Expected;

pub fn cases() -> Vec<Case> {
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
    let company = Company::start(&context, Arc::clone(&plane)).await?;
    let scene = Scene::create(&plane.client(), "monitor").await?;
    scene.backend().await?;
    let definition = context.workspace.service_monitor_crd()?;
    let definition =
        std::fs::read_to_string(&definition).with_context(|| format!("reading {}", definition.display()))?;
    Box::pin(watched(&company, &scene, played(&plane, &scene, &definition))).await
}

/// A pool that is scraped, and needs no certificate for that.
fn scraped(scene: &Scene, name: &str, monitor: Value) -> anyhow::Result<Manifest> {
    let pool = fixtures::pgpool(scene.namespace())?
        .named(name)
        .without("/spec/tls");
    Ok(pool
        .with("/spec/sslMode", json!("disable"))
        .with("/spec/monitor", monitor))
}

fn monitors(scene: &Scene) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "monitoring.coreos.com",
        "v1",
        "ServiceMonitor",
    ));
    Api::namespaced_with(scene.client().clone(), scene.namespace(), &kind)
}

async fn says(scene: &Scene, pool: &str, reason: Reason, words: &[&str]) -> anyhow::Result<()> {
    let says = Expected(
        ConditionType::Monitored,
        (reason == Reason::MetricsExposed).into(),
        reason,
        words,
    );
    scene.says(pool, says).await?;
    Ok(())
}

async fn played(plane: &ControlPlane, scene: &Scene, definition: &str) -> anyhow::Result<()> {
    let asked = json!({
        "agent": "prometheus.io/operator",
        "prometheus": {"serviceMonitor": {
            "labels": {"release": "prometheus"}, "interval": "10s", "targetLabels": ["team"],
            "podTargetLabels": ["tier"],
            "endpoints": [{"port": "metrics", "relabelings": [{"action": "labeldrop", "regex": "endpoint"}],
                "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "go_.*", "action": "drop"}]}],
        }},
    });
    scene.put(&scraped(scene, POOL, asked)?).await?;
    scene.workload(POOL).await?;
    let words = ["ServiceMonitor", STATS, "install the Prometheus operator"];
    says(scene, POOL, Reason::PrometheusOperatorAbsent, &words).await?;
    wait::object(
        &scene.api::<Secret>(),
        "pool-exporter",
        NOTICED,
        "is there",
        |_| Ok(()),
    )
    .await?;
    ensure!(
        monitors(scene).list(&ListParams::default()).await.is_err(),
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
    let found = wait::object(&monitors(scene), STATS, NOTICED, "is made", |_| Ok(())).await?;
    says(scene, POOL, Reason::MetricsExposed, &[STATS]).await?;
    as_asked(scene, &found).await?;
    answered(scene).await?;
    withdrawn(scene).await
}

/// What Prometheus reads is what the user wrote, and selects the Service of this pool alone.
async fn as_asked(scene: &Scene, found: &DynamicObject) -> anyhow::Result<()> {
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
    let services = scene
        .api::<Service>()
        .list(&ListParams::default().labels(&selector.join(",")))
        .await?;
    let names: Vec<_> = services
        .items
        .iter()
        .filter_map(|it| it.metadata.name.as_deref())
        .collect();
    ensure!(names == [STATS], "{names:?}");
    let pool = scene.pgpool(POOL).await?.metadata.uid;
    let owners = found.metadata.owner_references.clone().unwrap_or_default();
    ensure!(
        owners.iter().any(|owner| Some(&owner.uid) == pool.as_ref()),
        "{owners:?}"
    );
    Ok(())
}

/// What cannot be is said, and stops nothing else.
async fn answered(scene: &Scene) -> anyhow::Result<()> {
    let endpoints = json!([{"port": "metrics", "relabelings": [{"action": "nonsense"}]}]);
    let bad = json!({"agent": "prometheus.io/operator", "prometheus": {"serviceMonitor": {"endpoints": endpoints}}});
    scene.put(&scraped(scene, "bad", bad)?).await?;
    says(
        scene,
        "bad",
        Reason::ConfigurationInvalid,
        &["bad-stats", "nonsense"],
    )
    .await?;
    scene.workload("bad").await?;
    let foreign = json!({
        "apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": {"name": "taken-stats"},
        "spec": {"selector": {}, "endpoints": []},
    });
    scene.put(&Manifest(foreign)).await?;
    let taken = scraped(scene, "taken", json!({"agent": "prometheus.io"}))?;
    scene.put(&taken).await?;
    says(
        scene,
        "taken",
        Reason::NameConflict,
        &["taken-stats", "somebody else"],
    )
    .await?;
    scene.workload("taken").await?;
    Ok(())
}

/// What is read no more goes, and nothing of anybody else's.
async fn withdrawn(scene: &Scene) -> anyhow::Result<()> {
    let builtin = json!({"monitor": {"agent": "prometheus.io/builtin", "prometheus": null}});
    scene.edit(POOL, builtin).await?;
    wait::gone(&monitors(scene), STATS, NOTICED).await?;
    wait::object(
        &scene.api::<Service>(),
        STATS,
        NOTICED,
        "says that it is scraped",
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
    says(scene, POOL, Reason::MetricsExposed, &["annotations"]).await?;
    for (pool, monitor) in [(POOL, None), ("taken", Some("taken-stats"))] {
        scene.edit(pool, json!({ "monitor": null })).await?;
        wait::gone(&scene.api::<Service>(), &format!("{pool}-stats"), NOTICED).await?;
        if let Some(name) = monitor {
            ensure!(
                monitors(scene).get_opt(name).await?.is_some(),
                "{name} is somebody else's"
            );
        }
        wait::object(
            &scene.api::<Pgpool>(),
            pool,
            NOTICED,
            "speaks of it no more",
            |pool| {
                let conditions = pool.status.iter().flat_map(|status| &status.conditions);
                let told = conditions
                    .filter(|it| it.type_ == ConditionType::Monitored.as_str())
                    .count();
                ensure!(told == 0, "condition Monitored is left");
                Ok(())
            },
        )
        .await?;
    }
    Ok(())
}
