//! Requests for operations: each is carried out on a running pool, and reports when it is done.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use local_cluster::wait;
use serde_json::{Value, json};
use shared_types::{Alias, PgpoolOpsRequestStatus};

use super::verified_clients::prepared;
use crate::case::{Case, Context};
use crate::matrix::pools;
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{PLATFORM_CA, POOL};
use crate::namespace::ops_request::request;
use crate::namespace::pods::Identities;
use crate::namespace::pool::{self, describe, is_ready, issued};
use crate::namespace::psql::Attempt;
use crate::namespace::test_ca::TestCa;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster("operations::pods_settings_and_passwords", pods),
        Case::cluster("operations::tls_comes_changes_and_goes", tls),
        Case::cluster("operations::a_pool_runs_another_version", version),
    ]
}

const DONE: Duration = Duration::from_mins(3);

async fn pods(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let pool = pool.without_tls();
    ns.apply_and_wait(&pool, DONE).await?;
    let operate = async |name: &str, type_: &str, rest: Value| operated(&ns, name, type_, rest).await;

    let before = ns.identities(POOL).await?;
    operate("restart", "Restart", json!({"apply": "Always", "timeout": "3m"})).await?;
    let restarted = ns.identities(POOL).await?;
    ensure!(before.same(&restarted).is_err(), "the pod is the same as before");

    operate(
        "up",
        "HorizontalScaling",
        json!({"horizontalScaling": {"node": 2}}),
    )
    .await?;
    ensure!(ns.pods(POOL).await?.len() == 2, "one pod");
    operate(
        "down",
        "HorizontalScaling",
        json!({"horizontalScaling": {"node": 1}}),
    )
    .await?;
    ensure!(ns.pods(POOL).await?.len() == 1, "two pods");
    restarted
        .same(&ns.identities(POOL).await?)
        .context("scaling touched the pod that stays")?;

    settings(&ns, &restarted).await?;
    passwords(&ns).await?;

    resources(&ns).await?;
    ns.gets_plain_row(POOL, context.database().await?).await
}

async fn settings(ns: &TestNamespace, before: &Identities) -> anyhow::Result<()> {
    // What a reload puts into force, and what a restart does.
    let apply = |conf: &str| json!({"configuration": {"applyConfig": {"pgpool.conf": conf}}});
    operated(ns, "reload", "Reconfigure", apply("log_min_messages = notice")).await?;
    before
        .same(&ns.identities(POOL).await?)
        .context("a reload would have done")?;
    operated(ns, "settings", "Reconfigure", apply("max_pool = 4")).await?;
    let inline = ns
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
        before.same(&ns.identities(POOL).await?).is_err(),
        "no pod was replaced"
    );
    operated(
        ns,
        "defaults",
        "Reconfigure",
        json!({"configuration": {"removeCustomConfig": true}}),
    )
    .await?;
    Ok(())
}

/// In place no pod ends, and a pod that starts later has the same resources; with a restart the pod is replaced.
async fn resources(ns: &TestNamespace) -> anyhow::Result<()> {
    let resize = async |name: &str, mode: &str, cpu: &str| {
        let resources = json!({"requests": {"cpu": cpu, "memory": "80Mi"}, "limits": {"memory": "600Mi"}});
        let requested = json!({"verticalScaling": {"mode": mode, "node": {"resources": resources}}});
        operated(ns, name, "VerticalScaling", requested).await?;
        let pod = ns.api::<Pod>().get(&format!("{POOL}-0")).await?;
        let status = pod.status.unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let pgpool = containers.iter().find(|it| it.name == "pgpool");
        let pgpool = pgpool.context("no container")?;
        let given = serde_json::to_value(&pgpool.resources)?;
        ensure!(given["requests"]["cpu"] == cpu, "{given}");
        ensure!(given["limits"]["memory"] == "600Mi", "{given}");
        ensure!(pgpool.restart_count == 0, "it was restarted");
        let template = pgpool_container(ns).await?;
        ensure!(template["resources"]["requests"]["cpu"] == cpu, "{template}");
        anyhow::Ok(())
    };
    let before = ns.identities(POOL).await?;
    resize("in-place", "InPlace", "60m").await?;
    before
        .same(&ns.identities(POOL).await?)
        .context("a pod was replaced")?;
    resize("by-restart", "Restart", "70m").await?;
    ensure!(
        before.same(&ns.identities(POOL).await?).is_err(),
        "no pod was replaced"
    );
    Ok(())
}

/// Requests an operation, and checks that the pool is ready as soon as the request is successful.
async fn operated(
    ns: &TestNamespace,
    name: &str,
    type_: &str,
    rest: Value,
) -> anyhow::Result<PgpoolOpsRequestStatus> {
    let requested = request(name, POOL, type_, rest);
    let status = ns
        .operate(&requested, DONE)
        .await
        .with_context(|| name.to_owned())?;
    let pgpool = ns.pgpool(POOL).await?;
    ensure!(
        is_ready(&pgpool),
        "{name} is reported as done before it is: {}",
        describe(&pgpool)
    );
    Ok(status)
}

/// A password that is made, and one that is the user's: neither replaces a pod.
async fn passwords(ns: &TestNamespace) -> anyhow::Result<()> {
    let before = ns.identities(POOL).await?;
    let old = ns.secret_text("pool-auth", "password").await?;
    operated(ns, "password", "RotateAuth", json!({})).await?;
    ensure!(
        ns.secret_text("pool-auth", "password").await? != old,
        "the password is the same"
    );
    ensure!(
        ns.secret_text("pool-auth", "password.prev").await? == old,
        "the one before is lost"
    );
    let mine = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"},
        "stringData": {"username": "operator", "password": "open-sesame"},
    });
    ns.put(&crate::namespace::fixtures::Manifest(mine)).await?;
    let named = json!({"authentication": {"secretRef": {"kind": "Secret", "name": "mine"}}});
    operated(ns, "my-password", "RotateAuth", named).await?;
    let pcp = shared_types::names::pcp_secret(&ns.pgpool(POOL).await?);
    let conf = ns.secret_text(&pcp, "pcp.conf").await?;
    ensure!(conf.starts_with("operator:"), "pgpool knows another user");
    before.same(&ns.identities(POOL).await?)
}

async fn pgpool_container(ns: &TestNamespace) -> anyhow::Result<Value> {
    let workload = serde_json::to_value(ns.api::<StatefulSet>().get(POOL).await?)?;
    let containers = workload["spec"]["template"]["spec"]["containers"]
        .as_array()
        .cloned();
    let mut containers = containers.unwrap_or_default().into_iter();
    containers
        .find(|container| container["name"] == "pgpool")
        .context("no container pgpool")
}

async fn tls(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let database = context.database().await?;
    let pool = pool.without("/spec/tls").without("/spec/sslMode");
    ns.apply_and_wait(&pool, DONE).await?;
    let operate = async |name: &str, tls: Value| {
        let requested = request(name, POOL, "ReconfigureTLS", json!({"tls": tls, "timeout": "3m"}));
        let status = ns
            .operate(&requested, DONE)
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
    let outcomes = ns.psql(POOL, database, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("SSL off")?;

    let first = served(&ns).await?;
    let issued = requests(&ns).await?;
    operate("rotate", json!({"rotateCertificates": true})).await?;
    let second = served(&ns).await?;
    ensure!(first != second, "the certificate is the same");
    let requested = requests(&ns).await? - issued;
    ensure!(
        requested == Alias::ALL.len(),
        "{requested} certificates were requested"
    );

    ns.issuer_of("other", &TestCa::new("other")?).await?;
    operate("issuer", json!({"issuerRef": issuer("other")})).await?;
    ensure!(
        served(&ns).await? != second,
        "the certificate is still that of the issuer before"
    );
    ns.gets_row(POOL, database, Attempt::verify_full()).await?;

    operate("remove", json!({"remove": true})).await?;
    let spec = ns.pgpool(POOL).await?.spec;
    ensure!(spec.tls.is_none() && !spec.ssl_mode().enabled(), "{spec:?}");
    ns.gets_plain_row(POOL, database).await
}

/// What every pod serves, which is what was issued.
async fn served(ns: &TestNamespace) -> anyhow::Result<String> {
    let pgpool = ns.pgpool(POOL).await?;
    let issued = issued(&pgpool)?;
    let served = pool::served(&pgpool);
    let all = served.iter().all(|it| it.as_ref() == Some(&issued));
    ensure!(all, "{served:?} instead of {issued}");
    Ok(issued)
}

/// How often certificates were issued for the pool.
async fn requests(ns: &TestNamespace) -> anyhow::Result<usize> {
    let api = ns.certificates();
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
    let (ns, pool) = prepared(&context).await?;
    let pool = pool
        .with("/spec/version", json!(pools::VERSION))
        .with("/spec/replicas", json!(2));
    ns.apply_and_wait(&pool, DONE).await?;
    let image = pgpool_container(&ns).await?["image"].clone();
    let requested = |name: &str, version: &str| {
        request(
            name,
            POOL,
            "UpdateVersion",
            json!({"updateVersion": {"targetVersion": version}}),
        )
    };
    ns.put(&requested("nowhere", "4.99.0")).await?;
    let unknown = wait::until(
        "an unknown version is refused",
        crate::namespace::SOON,
        async || {
            let status = ns.operation("nowhere").await?.status.unwrap_or_default();
            let last = status.conditions.last().context("there is no condition yet")?;
            ensure!(last.type_ == "Failed", "{last:?}");
            Ok(last.clone())
        },
    )
    .await?;
    ensure!(unknown.reason == "VersionNotFound", "{unknown:?}");
    ns.operate(&requested("update", pools::NEWER), DONE).await?;
    ensure!(
        ns.pgpool(POOL).await?.spec.version == pools::NEWER,
        "the spec has another version"
    );
    ensure!(
        pgpool_container(&ns).await?["image"] != image,
        "the image is the same"
    );
    ns.gets_row(POOL, context.database().await?, Attempt::verify_full())
        .await
}
