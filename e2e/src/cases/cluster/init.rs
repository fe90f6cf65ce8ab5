//! The user's scripts run once in the life of a pool, whatever becomes of pods and operators.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;
use local_cluster::{command, wait};
use serde_json::json;
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::flow::{READY, prepared};
use super::operators::restart_all;
use crate::case::{Case, Context};
use crate::scene::fixtures::{DATABASE, Manifest, POOL};
use crate::scene::pool::{Expected, is_ready};
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
    vec![
        Case::cluster("init::scripts_run_once", once).alone(),
        Case::cluster("init::a_failed_script_leaves_the_pool_ready", failed),
    ]
}

/// The pool whose scripts come from a Secret.
const SEALED: &str = "sealed";

/// A script in the form that `KubeDB`'s users write, and one that leaves everything to its environment.
fn scripts(table: &str) -> [Manifest; 2] {
    let row = |who: &str| format!("insert into {table} values ('{who}')");
    let make = format!("create table if not exists {table} (who text)");
    let shell = format!(
        "#!/bin/bash\nset -eu\nfor what in \"{make}\" \"{}\"; do\n\
         psql -h localhost -p 9999 -U postgres -v ON_ERROR_STOP=1 -c \"$what\"\ndone\n",
        row("map")
    );
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "scripts"},
        "data": {"init.sh": shell, "not-asked-for.sh": "exit 1"},
    });
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "scripts"},
        "stringData": {"10-table.sql": format!("{make};"), "20-row.sql": format!("{};", row("secret"))},
    });
    [Manifest(map), Manifest(secret)]
}

async fn once(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let table = scene.namespace().replace('-', "_");
    let [map, secret] = scripts(&table);
    scene.put(&secret).await?;
    // With a client certificate and without a password; and with neither TLS nor the scripts, which come late.
    let sealed = pool
        .clone()
        .named(SEALED)
        .with("/spec/clientAuthMode", json!("cert"))
        .with("/spec/init/script/secret/secretName", json!("scripts"));
    scene.put(&sealed).await?;
    let script = json!({"scriptPath": "init.sh", "configMap": {"name": "scripts"}});
    let plain = pool
        .without("/spec/tls")
        .with("/spec/sslMode", json!("disable"))
        .with("/spec/init/script", script);
    scene.put(&plain).await?;
    scene.ready(POOL, READY).await?;
    let missing = (Status::False, Reason::InitSourceNotFound);
    initialized(&scene, POOL, missing, &["ConfigMap", "scripts"]).await?;
    scene.put(&map).await?;
    for name in [POOL, SEALED] {
        scene.ready(name, READY).await?;
        initialized(&scene, name, (Status::True, Reason::InitSucceeded), &[]).await?;
    }
    ensure!(
        rows(&context, &table).await? == "map,secret",
        "not one row of each"
    );

    let jobs = jobs(&scene).await?;
    for name in [POOL, SEALED] {
        for pod in scene.pods(name).await? {
            scene.delete::<Pod>(&pod.name_any()).await?;
        }
    }
    restart_all(&context.client).await?;
    for name in [POOL, SEALED] {
        let what = format!("{name} is ready again");
        wait::until(&what, READY, async || {
            ensure!(
                is_ready(&scene.pgpool(name).await?),
                "{}",
                scene.told(name).await?
            );
            Ok(())
        })
        .await?;
        initialized(&scene, name, (Status::True, Reason::InitSucceeded), &[]).await?;
    }
    ensure!(jobs == self::jobs(&scene).await?, "other Jobs than before");
    let now = rows(&context, &table).await?;
    ensure!(now == "map,secret", "the scripts ran again: {now}");
    removed(&scene).await
}

/// Nothing is left of the scripts when the pool goes.
async fn removed(scene: &Scene) -> anyhow::Result<()> {
    scene.delete::<Pgpool>(POOL).await?;
    wait::gone(&scene.api::<Job>(), &format!("{POOL}-init"), SOON).await
}

async fn failed(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "scripts"},
        "data": {"init.sh": "echo no luck; exit 3"},
    });
    scene.put(&Manifest(map)).await?;
    scene
        .put(&pool.with("/spec/init/script/configMap/name", json!("scripts")))
        .await?;
    let words = [format!(
        "kubectl logs --namespace {} job/{POOL}-init",
        scene.namespace()
    )];
    let words = words.each_ref().map(String::as_str);
    initialized(&scene, POOL, (Status::False, Reason::InitFailed), &words).await?;
    let pgpool = scene.pgpool(POOL).await?;
    ensure!(is_ready(&pgpool), "{}", scene.told(POOL).await?);
    // No Service and no budget counts the pods of scripts.
    let pods = scene.api::<Pod>().list(&ListParams::default()).await?.items;
    let ours = scene.pods(POOL).await?;
    ensure!(
        pods.len() > 1 && ours.len() == 1,
        "{} of {} pods are the pool's",
        ours.len(),
        pods.len()
    );
    Ok(())
}

/// Waits until the scripts have come as far as this.
async fn initialized(
    scene: &Scene,
    name: &str,
    (status, reason): (Status, Reason),
    words: &[&str],
) -> anyhow::Result<()> {
    let condition = ConditionType::Initialized;
    // Longer than a condition usually takes: a script that fails is tried again three times, ever later.
    let says = Expected(condition, status, reason, words);
    scene.says_within(name, says, READY * 2).await?;
    Ok(())
}

/// The Jobs, by UID.
async fn jobs(scene: &Scene) -> anyhow::Result<Vec<Option<String>>> {
    let jobs = scene.api::<Job>().list(&ListParams::default()).await?.items;
    let mut jobs: Vec<_> = jobs.iter().map(kube::ResourceExt::uid).collect();
    jobs.sort();
    Ok(jobs)
}

/// What stands in the table, asked of PostgreSQL itself.
async fn rows(context: &Context, table: &str) -> anyhow::Result<String> {
    let database = context.database().await?;
    let target = context.target()?.clone();
    let mut kubectl = target.command(&context.workspace.kubectl(&target)?);
    let namespace = database.scene().namespace();
    let query = format!("select string_agg(who, ',' order by who) from {table}");
    kubectl
        .arg("--kubeconfig")
        .arg(target.kubeconfig())
        .args([
            "--namespace",
            namespace,
            "exec",
            &format!("statefulset/{DATABASE}"),
            "--",
        ])
        .args(["env", &format!("PGPASSWORD={}", database.password())])
        .args(["psql", "-wXAth", "localhost", "-U", "postgres", "-c", &query]);
    let said = tokio::task::spawn_blocking(move || command::output(&mut kubectl)).await?;
    Ok(said.context("asking PostgreSQL")?.trim().to_owned())
}
