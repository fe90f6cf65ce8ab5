//! What users change about pods and Services: a real API server accepts all of it, and stores it so that the operators
//! have nothing left to write.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service, ServiceAccount};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use local_cluster::wait;
use serde_json::{Value, json};
use shared_types::Pgpool;

use super::audited_writes::Writes;
use crate::case::shared_fixtures::{watched, with_operators};
use crate::case::{Case, Context};
use crate::namespace::fixtures::{self, Manifest, POOL};
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "shape::every_field_is_accepted_and_costs_nothing_more",
            every_field,
        ),
        Case::api("shape::pods_can_be_resized_without_a_restart", |context| {
            with_operators(context, resizable)
        }),
        Case::api("shape::an_account_is_shared_and_left_alone", |context| {
            with_operators(context, account)
        }),
    ]
}

/// A template with every field of a pod, in values that tenancy `restricted` allows.
const TEMPLATE: &str = include_str!("../../../fixtures/pod-template.yaml");

/// What the template of a workload cannot hold, or holds under another name.
const OTHERWISE: [&str; 6] = [
    "activeDeadlineSeconds",
    "ephemeralContainers",
    "podPlacementPolicy",
    "restartPolicy",
    "serviceAccount",
    // The API server keeps no `false` here.
    "host",
];

fn plain(ns: &TestNamespace) -> anyhow::Result<Manifest> {
    Ok(fixtures::pgpool(ns.name())?
        .without("/spec/tls")
        .without("/spec/podTemplate")
        .with("/spec/sslMode", json!("disable")))
}

async fn every_field(context: Context) -> anyhow::Result<()> {
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    ns.backend().await?;
    let writes = Writes::of(pair, &ns);
    watched(pair, &ns, each_way(&ns, &writes)).await
}

async fn each_way(ns: &TestNamespace, writes: &Writes) -> anyhow::Result<()> {
    let template: Value = serde_yaml::from_str(TEMPLATE)?;
    let pool = plain(ns)?
        .with("/spec/podTemplate", template.clone())
        .with("/spec/serviceTemplates", balanced());
    ns.put(&pool).await?;
    arrived(&template, &ns.workload(POOL).await?)?;
    quiet(ns, writes).await.context("with every field")?;
    each_type(ns).await?;
    quiet(ns, writes).await.context("with the usual Service")
}

/// A template with every field of a Service that tenancy `restricted` allows.
fn balanced() -> Value {
    json!([{
        "alias": "primary",
        "metadata": {"labels": {"tier": "front"}, "annotations": {"service.beta.kubernetes.io/aws-load-balancer-internal": "true"}},
        "spec": {
            "type": "LoadBalancer",
            "ports": [{"name": "primary", "port": 5432, "nodePort": 30432}, {"name": "http", "port": 80}],
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 30433,
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
        },
    }])
}

/// From one type of Service to another, and back to what there is without a template.
async fn each_type(ns: &TestNamespace) -> anyhow::Result<()> {
    for (templates, kind) in [
        (
            json!([{"alias": "primary", "spec": {"type": "NodePort"}}]),
            "NodePort",
        ),
        (
            json!([{"alias": "primary", "spec": {"type": "ClusterIP"}}]),
            "ClusterIP",
        ),
        (json!([]), "ClusterIP"),
    ] {
        ns.edit(POOL, json!({"serviceTemplates": templates})).await?;
        let is_so = |service: &Service| {
            let spec = service.spec.as_ref().context("no spec")?;
            ensure!(spec.type_.as_deref() == Some(kind), "it is {:?}", spec.type_);
            ensure!(spec.load_balancer_source_ranges.is_none());
            Ok(())
        };
        wait::object(&ns.api::<Service>(), POOL, SOON, "is of the type", is_so).await?;
    }
    Ok(())
}

/// The workload has each field of the template.
fn arrived(template: &Value, workload: &StatefulSet) -> anyhow::Result<()> {
    let workload = serde_json::to_value(workload)?;
    let made = &workload["spec"]["template"]["spec"];
    for (field, _) in template["spec"].as_object().into_iter().flatten() {
        let otherwise = OTHERWISE.contains(&field.as_str()) || template["spec"][field] == false;
        ensure!(
            otherwise || made.get(field).is_some(),
            "{field} did not arrive: {made}"
        );
    }
    for (what, label) in [("the pods", "tier"), ("the workload", "owner")] {
        let place = if label == "tier" {
            &workload["spec"]["template"]
        } else {
            &workload
        };
        ensure!(
            place["metadata"]["labels"][label].is_string(),
            "{what} have no label"
        );
    }
    Ok(())
}

/// However often the operators look, there is nothing left to write.
async fn quiet(ns: &TestNamespace, writes: &Writes) -> anyhow::Result<()> {
    writes.over().await?;
    let api = ns.api::<Pgpool>();
    for time in 0..3 {
        // Wakes the operators and changes nothing that they care about.
        let touch = json!({"metadata": {"annotations": {"example.com/touched": time.to_string()}}});
        api.patch(POOL, &PatchParams::default(), &Patch::Merge(&touch))
            .await?;
    }
    writes.none().await?;
    let reported = ns.conditions(POOL).await?;
    ensure!(!reported.contains("Stalled=True"), "{reported}");
    Ok(())
}

/// Missing resources are filled in. There is no resize policy: Kubernetes then restarts no container for it.
async fn resizable(ns: TestNamespace) -> anyhow::Result<()> {
    ns.put(&plain(&ns)?).await?;
    ns.workload(POOL).await?;
    let fits = |pod: &Pod| {
        let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
        let container = serde_json::to_value(container.context("no container")?)?;
        let resizing = container["resizePolicy"].to_string();
        ensure!(!resizing.contains("RestartContainer"), "{resizing}");
        let resources = json!({
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"memory": "1Gi"},
        });
        ensure!(container["resources"] == resources, "{}", container["resources"]);
        Ok(())
    };
    wait::object(&ns.api::<Pod>(), "pool-0", SOON, "can be resized", fits).await?;
    Ok(())
}

/// Two pools run under one account of the user, and nobody makes or changes any.
async fn account(ns: TestNamespace) -> anyhow::Result<()> {
    let account = Manifest(json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "shop", "annotations": {"example.com/role": "shop"}},
        "automountServiceAccountToken": true,
    }));
    let before = ns.put(&account).await?;
    let pool = plain(&ns)?.with("/spec/podTemplate/spec/serviceAccountName", json!("shop"));
    for name in [POOL, "other"] {
        ns.put(&pool.clone().named(name)).await?;
    }
    for name in [POOL, "other"] {
        let workload = ns.workload(name).await?;
        let pod = workload
            .spec
            .and_then(|spec| spec.template.spec)
            .context("no pod")?;
        ensure!(pod.service_account_name.as_deref() == Some("shop"));
        ns.delete::<Pgpool>(name).await?;
        wait::gone(&ns.api::<StatefulSet>(), name, SOON).await?;
    }
    let accounts = ns.api::<ServiceAccount>();
    let after = accounts.get("shop").await?;
    ensure!(
        before.resource_version() == after.resource_version(),
        "it was changed"
    );
    for name in [POOL, "other"] {
        ensure!(
            accounts.get_opt(name).await?.is_none(),
            "an account {name} was made"
        );
    }
    Ok(())
}
