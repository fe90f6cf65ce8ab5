//! The whole way: from an issuer and a Pgpool to clients that verify what they talk to.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use local_cluster::command;
use serde_json::json;
use shared_types::conditions::{self, ConditionType};
use shared_types::{Alias, Pgpool};

use crate::case::{Case, Context};
use crate::matrix::pools;
use crate::scene::fixtures::{self, ISSUER, Manifest, POOL};
use crate::scene::psql::Attempt;
use crate::scene::{Scene, offer_version};

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("flow::clients_verify_a_pool_of_two", |context| {
            two(context, pools::VERSION)
        }),
        Case::cluster("flow::clients_verify_a_pool_of_a_newer_pgpool", |context| {
            two(context, pools::NEWER)
        }),
        Case::cluster("flow::only_restricted_pods_may_run_here", restricted),
    ]
}

/// Time for a new pool to be ready.
pub const READY: Duration = Duration::from_mins(4);

/// The namespace of a case with an issuer, and the manifest of a pool in front of the shared PostgreSQL.
pub async fn prepared(context: &Context) -> anyhow::Result<(Scene, Manifest)> {
    let database = context.database().await?;
    let scene = context.scene().await?;
    offer_version(scene.client()).await?;
    scene.apply(ISSUER).await?;
    Ok((scene, fixtures::pgpool(database.scene().namespace())?))
}

async fn two(context: Context, version: &str) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    scene
        .put(
            &pool
                .with("/spec/version", json!(version))
                .with("/spec/replicas", json!(2))
                .with("/spec/sslMode", json!("verify-full")),
        )
        .await?;
    let ready = scene.ready(POOL, READY).await?;
    proven(&ready, 2)?;
    waited_for(&context, &scene).await?;

    let attempts = [
        Attempt::verify_full(),
        Attempt::plain(),
        Attempt::wrong_authority(),
    ];
    let outcomes = scene.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("SSL off")?;
    outcomes[2].expect_refusal("certificate verify failed")?;
    Ok(())
}

/// Each pod serves the very certificate that was issued, and every condition says that all is well.
fn proven(pgpool: &Pgpool, replicas: usize) -> anyhow::Result<()> {
    let status = pgpool.status.as_ref().context("no status")?;
    let server = status
        .certificates
        .iter()
        .find(|certificate| certificate.alias == Alias::Server);
    let issued = server
        .and_then(|server| server.fingerprint.as_ref())
        .context("no server certificate")?;
    ensure!(
        status.certificates.len() == Alias::ALL.len(),
        "{:?}",
        status.certificates
    );
    ensure!(
        status.certificates.iter().all(|certificate| certificate.ready),
        "{:?}",
        status.certificates
    );
    ensure!(status.pods.len() == replicas, "{:?}", status.pods);
    for pod in &status.pods {
        ensure!(pod.ready, "{pod:?}");
        ensure!(
            pod.served_fingerprint.as_ref() == Some(issued),
            "{pod:?} instead of {issued}"
        );
    }
    for condition in [
        ConditionType::ProvisioningStarted,
        ConditionType::ReplicaReady,
        ConditionType::AcceptingConnection,
        ConditionType::Ready,
        ConditionType::Provisioned,
        ConditionType::CertificatesReady,
    ] {
        ensure!(
            conditions::is_true(&status.conditions, condition),
            "{condition}: {:?}",
            status.conditions
        );
    }
    for condition in [ConditionType::Reconciling, ConditionType::Stalled] {
        ensure!(
            !conditions::is_true(&status.conditions, condition),
            "{condition}: {:?}",
            status.conditions
        );
    }
    Ok(())
}

/// What scripts wait with.
async fn waited_for(context: &Context, scene: &Scene) -> anyhow::Result<()> {
    let target = context.target()?.clone();
    let mut kubectl = target.command(&context.workspace.kubectl(&target)?);
    kubectl
        .arg("--kubeconfig")
        .arg(target.kubeconfig())
        .args(["--namespace", scene.namespace()]);
    kubectl.args([
        "wait",
        "--for=condition=Ready",
        "--timeout=120s",
        &format!("pgpool/{POOL}"),
    ]);
    tokio::task::spawn_blocking(move || command::output(&mut kubectl)).await??;
    Ok(())
}

/// The namespaces of these cases hold the pods to the restricted standard: a pod that does not keep to it is
/// refused, so those of a pool do.
async fn restricted(context: Context) -> anyhow::Result<()> {
    let scene = context.scene().await?;
    let careless = Manifest(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless"},
        "spec": {"containers": [{"name": "a", "image": crate::images::POSTGRES}]},
    }));
    let refusal = scene
        .put(&careless)
        .await
        .err()
        .context("a careless pod was accepted")?;
    ensure!(
        format!("{refusal:#}").contains("restricted"),
        "refused otherwise: {refusal:#}"
    );
    Ok(())
}
