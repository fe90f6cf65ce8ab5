//! Issuers that are missing, of the wrong kind or not ready: the condition says so, nothing is created with
//! certificates that do not exist, and all goes on once the issuer is as it should be.

use anyhow::ensure;
use kube::api::ListParams;
use local_cluster::manifests;
use serde_json::json;
use shared_types::conditions::Reason;

use crate::case::Case;
use crate::cases::props::served;
use crate::scene::Scene;
use crate::scene::fixtures::{self, ISSUER, POOL};

pub fn cases() -> Vec<Case> {
    vec![
        Case::api("issuers::a_missing_one_is_named_and_awaited", |context| {
            served(context, missing)
        }),
        Case::api("issuers::one_that_is_not_ready_is_awaited", |context| {
            served(context, unready)
        }),
        Case::api("issuers::one_of_the_cluster_issues", |context| {
            served(context, of_the_cluster)
        }),
    ]
}

async fn missing(scene: Scene) -> anyhow::Result<()> {
    scene.apply(ISSUER).await?;
    scene
        .put(&fixtures::pgpool(scene.namespace())?.with("/spec/tls/issuerRef/name", json!("nowhere")))
        .await?;
    let place = format!("Issuer {}/nowhere", scene.namespace());
    scene
        .certificates_refused(POOL, Reason::IssuerNotFound, &[&place, "create it"])
        .await?;
    nothing_asked(&scene).await?;
    scene.apply(&issuer("nowhere", "platform-ca")).await?;
    recovered(&scene).await
}

async fn unready(scene: Scene) -> anyhow::Result<()> {
    scene.apply(&issuer("platform-ca", "platform-ca")).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    let place = format!("Issuer {}/platform-ca is not ready", scene.namespace());
    scene
        .certificates_refused(POOL, Reason::IssuerNotReady, &[&place, "kubectl describe issuer"])
        .await?;
    nothing_asked(&scene).await?;
    scene.apply(ISSUER).await?;
    recovered(&scene).await
}

async fn of_the_cluster(scene: Scene) -> anyhow::Result<()> {
    // Its Secret is where cert-manager looks for those of the cluster. The name keeps other runs apart.
    let name = scene.namespace();
    let parts = ISSUER
        .replace("platform-root", &format!("{name}-root"))
        .replace("platform-ca", name);
    manifests::apply(scene.client(), "cert-manager", &parts).await?;
    let cluster = format!(
        "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {{name: {name}}}\nspec: {{ca: {{secretName: {name}}}}}"
    );
    scene.apply(&cluster).await?;
    let issuer = json!({"apiGroup": "cert-manager.io", "kind": "ClusterIssuer", "name": name});
    scene
        .put(&fixtures::pgpool(name)?.with("/spec/tls/issuerRef", issuer))
        .await?;
    recovered(&scene).await
}

fn issuer(name: &str, secret: &str) -> String {
    format!(
        "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {{name: {name}}}\nspec: {{ca: {{secretName: {secret}}}}}"
    )
}

/// Neither Certificates nor a workload are made before there is an issuer.
async fn nothing_asked(scene: &Scene) -> anyhow::Result<()> {
    let labels = format!("app.kubernetes.io/instance={POOL}");
    let asked = scene
        .certificates()
        .list(&ListParams::default().labels(&labels))
        .await?
        .items;
    ensure!(asked.is_empty(), "certificates are asked for without an issuer");
    scene.no_workload(POOL).await
}

async fn recovered(scene: &Scene) -> anyhow::Result<()> {
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    Ok(())
}
