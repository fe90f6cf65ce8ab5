//! What users change about pods, where pods run; and that no client loses its connection when pods are added or removed.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::ResourceExt as _;
use local_cluster::wait;
use serde_json::json;
use shared_types::Phase;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::images;
use crate::namespace::fixtures::{Manifest, POOL};
use crate::namespace::pool::Expected;
use crate::namespace::psql::Attempt;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster(
            "pods::one_that_finds_no_node_says_so_and_then_runs_with_company",
            company,
        ),
        Case::cluster("pods::scaling_costs_no_client_its_connection", scaled),
    ]
}

/// The pool with a sidecar that shares a volume with pgpool, under an account of the user.
fn accompanied(pool: Manifest) -> Manifest {
    let mounts = json!([{"name": "shared", "mountPath": "/shared"}]);
    let beside = json!({
        "name": "beside",
        "image": images::POSTGRES,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", "touch /shared/here; exec sleep infinity"],
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": false, "runAsNonRoot": true, "runAsUser": 70,
            "capabilities": {"drop": ["ALL"]},
        },
    });
    let ours = json!({
        "name": "pgpool",
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": mounts,
        // Not before the other has been there.
        "readinessProbe": {"exec": {"command": ["test", "-e", "/shared/here"]}, "periodSeconds": 1},
    });
    pool.with("/spec/podTemplate/spec/containers", json!([ours, beside]))
        .with(
            "/spec/podTemplate/spec/volumes",
            json!([{"name": "shared", "emptyDir": {}}]),
        )
        .with("/spec/podTemplate/spec/serviceAccountName", json!("shop"))
}

/// At first it is for a node that is not there.
async fn company(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let account = Manifest::service_account("shop");
    let account = ns.put(&account).await?;
    let nowhere = json!({"disk": "none-such"});
    ns.put(&accompanied(pool).with("/spec/podTemplate/spec/nodeSelector", nowhere))
        .await?;
    let says = Expected(
        ConditionType::ReplicaReady,
        Status::False,
        Reason::SomeReplicasNotReady,
        &["0 of 1", "pool-0", "nodes are available"],
    );
    ns.has_condition(POOL, says).await?;
    let phase = ns.pgpool(POOL).await?.status.and_then(|status| status.phase);
    ensure!(phase == Some(Phase::Provisioning), "it is {phase:?}");

    ns.edit(POOL, json!({"podTemplate": {"spec": {"nodeSelector": null}}}))
        .await?;
    ns.ready(POOL, READY).await?;
    let pod = ns.api::<Pod>().get("pool-0").await?;
    let statuses = pod.status.context("no status")?.container_statuses;
    let ready = statuses.iter().flatten().filter(|it| it.ready).count();
    ensure!(ready == 2, "{statuses:?}");
    let spec = pod.spec.context("no spec")?;
    ensure!(spec.service_account_name.as_deref() == Some("shop"));
    let now = ns.api::<ServiceAccount>().get("shop").await?;
    ensure!(
        now.resource_version() == account.resource_version(),
        "the account was changed"
    );
    Ok(())
}

/// New connections all the while that pods come, and while they go.
async fn scaled(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.apply_and_wait(&pool, READY).await?;
    for replicas in [3, 1] {
        let attempts = vec![Attempt::verify_full(); 100];
        let database = context.database().await?;
        let (outcomes, scaled) = tokio::join!(ns.psql(POOL, database, &attempts), scale(&ns, replicas));
        scaled.with_context(|| format!("scaling to {replicas}"))?;
        for outcome in outcomes? {
            outcome
                .expect_row()
                .with_context(|| format!("while scaling to {replicas}"))?;
        }
    }
    Ok(())
}

async fn scale(ns: &TestNamespace, replicas: usize) -> anyhow::Result<()> {
    ns.client_runs(READY).await?;
    ns.edit(POOL, json!({"replicas": replicas})).await?;
    ns.ready(POOL, READY).await?;
    wait::until("there are as many pods as requested", SOON, async || {
        let there = ns.pods(POOL).await?.len();
        ensure!(there == replicas, "there are {there}");
        Ok(())
    })
    .await
}
