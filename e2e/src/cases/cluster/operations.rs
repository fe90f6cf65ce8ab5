//! Operations that are asked for by requests: each is carried out on a running pool, and says so when it is.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret};
use local_cluster::wait;
use serde_json::{Value, json};
use shared_types::{Alias, PgpoolOpsRequestStatus};

use super::flow::prepared;
use crate::case::{Case, Context};
use crate::matrix::pools;
use crate::scene::Scene;
use crate::scene::authority::Authority;
use crate::scene::fixtures::{PLATFORM_CA, POOL};
use crate::scene::operation::request;
use crate::scene::pods::Identities;
use crate::scene::pool::{is_ready, told_of};
use crate::scene::psql::Attempt;

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("operations::pods_settings_and_passwords", pods),
        Case::cluster("operations::tls_comes_changes_and_goes", tls),
        Case::cluster("operations::a_pool_runs_another_version", version),
    ]
}

/// Time for an operation that replaces pods.
const DONE: Duration = Duration::from_mins(3);

async fn pods(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let pool = pool.without("/spec/tls").with("/spec/sslMode", json!("disable"));
    scene.put(&pool).await?;
    scene.ready(POOL, DONE).await?;
    let operate = async |name: &str, type_: &str, rest: Value| operated(&scene, name, type_, rest).await;

    let before = scene.identities(POOL).await?;
    operate("restart", "Restart", json!({"apply": "Always", "timeout": "3m"})).await?;
    let restarted = scene.identities(POOL).await?;
    ensure!(before.same(&restarted).is_err(), "the pod is the same as before");

    operate(
        "up",
        "HorizontalScaling",
        json!({"horizontalScaling": {"node": 2}}),
    )
    .await?;
    ensure!(scene.pods(POOL).await?.len() == 2, "one pod");
    operate(
        "down",
        "HorizontalScaling",
        json!({"horizontalScaling": {"node": 1}}),
    )
    .await?;
    ensure!(scene.pods(POOL).await?.len() == 1, "two pods");
    restarted
        .same(&scene.identities(POOL).await?)
        .context("scaling touched the pod that stays")?;

    settings(&scene, &restarted).await?;
    passwords(&scene).await?;

    resources(&scene).await?;
    let outcomes = scene
        .psql(POOL, context.database().await?, &[Attempt::plain()])
        .await?;
    outcomes[0].expect_plain_row()
}

async fn settings(scene: &Scene, before: &Identities) -> anyhow::Result<()> {
    // What a reload puts into force, and what a restart does.
    let apply = |conf: &str| json!({"configuration": {"applyConfig": {"pgpool.conf": conf}}});
    operated(scene, "reload", "Reconfigure", apply("log_min_messages = notice")).await?;
    before
        .same(&scene.identities(POOL).await?)
        .context("a reload would have done")?;
    operated(scene, "settings", "Reconfigure", apply("max_pool = 4")).await?;
    let inline = scene
        .pgpool(POOL)
        .await?
        .spec
        .configuration
        .context("no configuration")?
        .inline;
    ensure!(
        inline["pgpool.conf"] == "log_min_messages = notice\nmax_pool = 4\n",
        "{inline:?}"
    );
    ensure!(
        before.same(&scene.identities(POOL).await?).is_err(),
        "no pod was replaced"
    );
    operated(
        scene,
        "defaults",
        "Reconfigure",
        json!({"configuration": {"removeCustomConfig": true}}),
    )
    .await?;
    Ok(())
}

/// In place no pod ends, and a pod that starts later has the same; where a restart is asked for, there is one.
async fn resources(scene: &Scene) -> anyhow::Result<()> {
    let resize = async |name: &str, mode: &str, cpu: &str| {
        let resources = json!({"requests": {"cpu": cpu, "memory": "80Mi"}, "limits": {"memory": "600Mi"}});
        let asked = json!({"verticalScaling": {"mode": mode, "node": {"resources": resources}}});
        operated(scene, name, "VerticalScaling", asked).await?;
        let pod = scene.api::<Pod>().get(&format!("{POOL}-0")).await?;
        let status = pod.status.unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let pgpool = containers.iter().find(|it| it.name == "pgpool");
        let pgpool = pgpool.context("no container")?;
        let given = serde_json::to_value(&pgpool.resources)?;
        ensure!(given["requests"]["cpu"] == cpu, "{given}");
        ensure!(given["limits"]["memory"] == "600Mi", "{given}");
        ensure!(pgpool.restart_count == 0, "it was restarted");
        let template = pgpool_container(scene).await?;
        ensure!(template["resources"]["requests"]["cpu"] == cpu, "{template}");
        anyhow::Ok(())
    };
    let before = scene.identities(POOL).await?;
    resize("in-place", "InPlace", "60m").await?;
    before
        .same(&scene.identities(POOL).await?)
        .context("a pod was replaced")?;
    resize("by-restart", "Restart", "70m").await?;
    ensure!(
        before.same(&scene.identities(POOL).await?).is_err(),
        "no pod was replaced"
    );
    Ok(())
}

/// Asks for an operation, and finds the pool as it should be as soon as that is told.
async fn operated(
    scene: &Scene,
    name: &str,
    type_: &str,
    rest: Value,
) -> anyhow::Result<PgpoolOpsRequestStatus> {
    let asked = request(name, POOL, type_, rest);
    let status = scene
        .operate(&asked, DONE)
        .await
        .with_context(|| name.to_owned())?;
    let pgpool = scene.pgpool(POOL).await?;
    ensure!(
        is_ready(&pgpool),
        "{name} is told to be done before it is: {}",
        told_of(&pgpool)
    );
    Ok(status)
}

/// A password that is made, and one that is the user's: neither replaces a pod.
async fn passwords(scene: &Scene) -> anyhow::Result<()> {
    let before = scene.identities(POOL).await?;
    let old = entry(scene, "pool-auth", "password").await?;
    operated(scene, "password", "RotateAuth", json!({})).await?;
    ensure!(
        entry(scene, "pool-auth", "password").await? != old,
        "the password is the same"
    );
    ensure!(
        entry(scene, "pool-auth", "password.prev").await? == old,
        "the one before is lost"
    );
    let mine = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"},
        "stringData": {"username": "operator", "password": "open-sesame"},
    });
    scene.put(&crate::scene::fixtures::Manifest(mine)).await?;
    let named = json!({"authentication": {"secretRef": {"kind": "Secret", "name": "mine"}}});
    operated(scene, "my-password", "RotateAuth", named).await?;
    let pcp = shared_types::names::pcp_secret(&scene.pgpool(POOL).await?);
    let conf = entry(scene, &pcp, "pcp.conf").await?;
    ensure!(conf.starts_with("operator:"), "pgpool knows another user");
    before.same(&scene.identities(POOL).await?)
}

async fn entry(scene: &Scene, secret: &str, key: &str) -> anyhow::Result<String> {
    let secret = scene.api::<Secret>().get(secret).await?;
    let value = secret.data.and_then(|mut data| data.remove(key));
    Ok(String::from_utf8(value.with_context(|| format!("no {key}"))?.0)?)
}

async fn pgpool_container(scene: &Scene) -> anyhow::Result<Value> {
    let workload = serde_json::to_value(scene.api::<StatefulSet>().get(POOL).await?)?;
    let containers = workload["spec"]["template"]["spec"]["containers"]
        .as_array()
        .cloned();
    let mut containers = containers.unwrap_or_default().into_iter();
    containers
        .find(|container| container["name"] == "pgpool")
        .context("no container pgpool")
}

async fn tls(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let database = context.database().await?;
    let pool = pool.without("/spec/tls").without("/spec/sslMode");
    scene.put(&pool).await?;
    scene.ready(POOL, DONE).await?;
    let operate = async |name: &str, tls: Value| {
        let asked = request(name, POOL, "ReconfigureTLS", json!({"tls": tls, "timeout": "3m"}));
        let status = scene
            .operate(&asked, DONE)
            .await
            .with_context(|| name.to_owned())?;
        anyhow::Ok(status)
    };
    let issuer = |name: &str| json!({"apiGroup": "cert-manager.io", "kind": "Issuer", "name": name});

    operate(
        "add",
        json!({"sslMode": "require", "issuerRef": issuer(PLATFORM_CA)}),
    )
    .await?;
    let attempts = [Attempt::verify_full(), Attempt::plain()];
    let outcomes = scene.psql(POOL, database, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("SSL off")?;

    let first = served(&scene).await?;
    let issued = requests(&scene).await?;
    operate("rotate", json!({"rotateCertificates": true})).await?;
    let second = served(&scene).await?;
    ensure!(first != second, "the certificate is the same");
    let asked = requests(&scene).await? - issued;
    ensure!(asked == Alias::ALL.len(), "{asked} certificates were asked for");

    scene.issuer_of("other", &Authority::new("other")?).await?;
    operate("issuer", json!({"issuerRef": issuer("other")})).await?;
    ensure!(
        served(&scene).await? != second,
        "the certificate is still that of the issuer before"
    );
    scene.psql(POOL, database, &[Attempt::verify_full()]).await?[0].expect_row()?;

    operate("remove", json!({"remove": true})).await?;
    let spec = scene.pgpool(POOL).await?.spec;
    ensure!(spec.tls.is_none() && !spec.ssl_mode().enabled(), "{spec:?}");
    scene.psql(POOL, database, &[Attempt::plain()]).await?[0].expect_plain_row()
}

/// What every pod serves, which is what was issued.
async fn served(scene: &Scene) -> anyhow::Result<String> {
    let status = scene.pgpool(POOL).await?.status.context("no status")?;
    let server = status
        .certificates
        .iter()
        .find(|entry| entry.alias == Alias::Server);
    let issued = server
        .and_then(|entry| entry.fingerprint.clone())
        .context("no certificate")?;
    for pod in &status.pods {
        ensure!(
            pod.served_fingerprint.as_ref() == Some(&issued),
            "{pod:?} instead of {issued}"
        );
    }
    Ok(issued)
}

/// How often certificates were issued for the pool.
async fn requests(scene: &Scene) -> anyhow::Result<usize> {
    let api = scene.certificates();
    let mut all = 0;
    for alias in Alias::ALL {
        let certificate = api.get(&format!("{POOL}-{alias}-cert")).await?;
        let revision = certificate.data["status"]["revision"]
            .as_u64()
            .context("it was never issued")?;
        all += usize::try_from(revision)?;
    }
    Ok(all)
}

async fn version(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let pool = pool
        .with("/spec/version", json!(pools::VERSION))
        .with("/spec/replicas", json!(2));
    scene.put(&pool).await?;
    scene.ready(POOL, DONE).await?;
    let image = pgpool_container(&scene).await?["image"].clone();
    let asked = |name: &str, version: &str| {
        request(
            name,
            POOL,
            "UpdateVersion",
            json!({"updateVersion": {"targetVersion": version}}),
        )
    };
    scene.put(&asked("nowhere", "4.99.0")).await?;
    let unknown = wait::until("an unknown version is refused", crate::scene::SOON, async || {
        let status = scene.operation("nowhere").await?.status.unwrap_or_default();
        let last = status.conditions.last().context("nothing is said yet")?;
        ensure!(last.type_ == "Failed", "{last:?}");
        Ok(last.clone())
    })
    .await?;
    ensure!(unknown.reason == "VersionNotFound", "{unknown:?}");
    scene.operate(&asked("update", pools::NEWER), DONE).await?;
    ensure!(
        scene.pgpool(POOL).await?.spec.version == pools::NEWER,
        "the spec has another version"
    );
    ensure!(
        pgpool_container(&scene).await?["image"] != image,
        "the image is the same"
    );
    let outcomes = scene
        .psql(POOL, context.database().await?, &[Attempt::verify_full()])
        .await?;
    outcomes[0].expect_row()
}
