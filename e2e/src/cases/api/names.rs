//! Names that are taken: by another Pgpool, or by an object of somebody else. What exists is left alone, and
//! the Pgpool goes on once the name is free.

use anyhow::{Context as _, ensure};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject};
use local_cluster::manifests;
use serde_json::{Value, json};
use shared_types::conditions::{ConditionType, Reason, Status};

use crate::case::Case;
use crate::cases::props::served;
use crate::scene::Scene;
use crate::scene::fixtures::{self, ISSUER, Manifest, POOL};
use crate::scene::pool::Expected;

pub fn cases() -> Vec<Case> {
    vec![
        Case::api("names::of_two_pools_the_older_keeps_a_secret", |context| {
            served(context, one_secret)
        }),
        Case::api("names::the_service_of_another_is_left_alone", |context| {
            served(context, service)
        }),
        Case::api("names::the_secret_of_another_is_left_alone", |context| {
            served(context, secret)
        }),
        Case::api("names::the_workload_of_another_is_left_alone", |context| {
            served(context, workload)
        }),
        Case::api("names::the_certificate_of_another_is_left_alone", |context| {
            served(context, certificate)
        }),
    ]
}

async fn one_secret(scene: Scene) -> anyhow::Result<()> {
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificates_ready(POOL).await?;
    let shared = json!([{"alias": "server", "secretName": "pool-server-cert"}]);
    let rival = fixtures::pgpool(scene.namespace())?
        .named("rival")
        .with("/spec/tls/certificates", shared);
    scene.put(&rival).await?;
    let (secret, holder) = (
        format!("Secret {}/pool-server-cert", scene.namespace()),
        format!("Pgpool {}/{POOL}", scene.namespace()),
    );
    let words = [secret.as_str(), &holder, "choose another secretName"];
    scene
        .certificates_refused("rival", Reason::SecretNameConflict, &words)
        .await?;
    scene.no_workload("rival").await?;
    scene.workload(POOL).await?;
    scene.certificates_ready(POOL).await?;
    scene.edit("rival", json!({"tls": {"certificates": []}})).await?;
    scene.certificates_ready("rival").await?;
    scene.workload("rival").await?;
    Ok(())
}

async fn service(scene: Scene) -> anyhow::Result<()> {
    let spec = json!({"ports": [{"port": 1}], "selector": {"app": "theirs"}});
    taken(&scene, "v1", "Service", POOL, "spec", spec, Writer::Provisioner).await
}

async fn secret(scene: Scene) -> anyhow::Result<()> {
    taken(
        &scene,
        "v1",
        "Secret",
        "pool-users",
        "data",
        json!({"theirs": "eA=="}),
        Writer::Provisioner,
    )
    .await
}

async fn workload(scene: Scene) -> anyhow::Result<()> {
    let labels = json!({"app": "theirs"});
    let spec = json!({
        "serviceName": "theirs",
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
    });
    taken(
        &scene,
        "apps/v1",
        "StatefulSet",
        POOL,
        "spec",
        spec,
        Writer::Provisioner,
    )
    .await
}

async fn certificate(scene: Scene) -> anyhow::Result<()> {
    let spec = json!({
        "secretName": "theirs",
        "dnsNames": ["theirs.example.com"],
        "issuerRef": {"name": "nowhere", "kind": "Issuer"},
    });
    taken(
        &scene,
        "cert-manager.io/v1",
        "Certificate",
        "pool-client-cert",
        "spec",
        spec,
        Writer::OpsManager,
    )
    .await
}

/// Whose word the refusal is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Provisioner,
    OpsManager,
}

/// An object of somebody else stands where the Pgpool needs one of its own.
async fn taken(
    scene: &Scene,
    version: &str,
    kind: &str,
    name: &str,
    part: &str,
    content: Value,
    writer: Writer,
) -> anyhow::Result<()> {
    let owner = scene.put(&owner()).await?;
    let theirs = Manifest(json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "controller": true,
            "uid": owner.uid().context("no UID")?,
        }]},
        part: content,
    }));
    let before = scene.put(&theirs).await?;
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    let place = format!("{kind} {}/{name}", scene.namespace());
    let words = [place.as_str(), "ConfigMap", "theirs", "delete it"];
    match writer {
        Writer::Provisioner => scene.stalled(POOL, Reason::NameConflict, &words).await?,
        Writer::OpsManager => {
            let (condition, status) = (ConditionType::CertificatesReady, Status::False);
            scene
                .says(POOL, Expected(condition, status, Reason::NameConflict, &words))
                .await?;
        }
    }
    let api = manifests::api(scene.client(), scene.namespace(), &before).await?;
    untouched(&before, &api.get(name).await?)?;
    api.delete(name, &DeleteParams::default()).await?;
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    Ok(())
}

fn owner() -> Manifest {
    Manifest(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}}))
}

/// What its owner wrote is as it was. Its status may have changed, and what a controller added.
fn untouched(before: &DynamicObject, after: &DynamicObject) -> anyhow::Result<()> {
    ensure!(before.uid() == after.uid(), "it was made anew");
    ensure!(
        before.metadata.generation == after.metadata.generation,
        "its spec was changed"
    );
    ensure!(
        before.labels() == after.labels(),
        "it got labels: {:?}",
        after.labels()
    );
    ensure!(
        before.owner_references() == after.owner_references(),
        "it changed hands"
    );
    ensure!(
        before.data.get("data") == after.data.get("data"),
        "its content was changed"
    );
    Ok(())
}
