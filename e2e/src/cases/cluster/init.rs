//! The user's scripts run once in the life of a pool, even if pods and operators are deleted.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;
use local_cluster::wait;
use serde_json::json;
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::operators::restart_all;
use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::fixtures::{DATABASE, Manifest, POOL};
use crate::namespace::pool::{Expected, is_ready};
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
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
        "data": {"init.sh": shell, "not-requested-for.sh": "exit 1"},
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
    let (ns, pool) = prepared(&context).await?;
    let table = ns.name().replace('-', "_");
    let [map, secret] = scripts(&table);
    ns.put(&secret).await?;
    // With a client certificate and without a password; and with neither TLS nor the scripts, which come late.
    let sealed = pool
        .clone()
        .named(SEALED)
        .with("/spec/clientAuthMode", json!("cert"))
        .with("/spec/init/script/secret/secretName", json!("scripts"));
    ns.put(&sealed).await?;
    let script = json!({"scriptPath": "init.sh", "configMap": {"name": "scripts"}});
    let plain = pool.without_tls().with("/spec/init/script", script);
    ns.apply_and_wait(&plain, READY).await?;
    let missing = (Status::False, Reason::InitSourceNotFound);
    initialized(&ns, POOL, missing, &["ConfigMap", "scripts"]).await?;
    ns.put(&map).await?;
    for name in [POOL, SEALED] {
        ns.ready(name, READY).await?;
        initialized(&ns, name, (Status::True, Reason::InitSucceeded), &[]).await?;
    }
    ensure!(
        rows(&context, &table).await? == "map,secret",
        "not one row of each"
    );

    let jobs = jobs(&ns).await?;
    for name in [POOL, SEALED] {
        for pod in ns.pods(name).await? {
            ns.delete::<Pod>(&pod.name_any()).await?;
        }
    }
    restart_all(&context.client).await?;
    for name in [POOL, SEALED] {
        let what = format!("{name} is ready again");
        wait::until(&what, READY, async || {
            ensure!(
                is_ready(&ns.pgpool(name).await?),
                "{}",
                ns.conditions(name).await?
            );
            Ok(())
        })
        .await?;
        initialized(&ns, name, (Status::True, Reason::InitSucceeded), &[]).await?;
    }
    ensure!(jobs == self::jobs(&ns).await?, "other Jobs than before");
    let now = rows(&context, &table).await?;
    ensure!(now == "map,secret", "the scripts ran again: {now}");
    removed(&ns).await
}

/// Nothing is left of the scripts when the pool goes.
async fn removed(ns: &TestNamespace) -> anyhow::Result<()> {
    ns.delete::<Pgpool>(POOL).await?;
    wait::gone(&ns.api::<Job>(), &format!("{POOL}-init"), SOON).await
}

async fn failed(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "scripts"},
        "data": {"init.sh": "echo no luck; exit 3"},
    });
    ns.put(&Manifest(map)).await?;
    ns.put(&pool.with("/spec/init/script/configMap/name", json!("scripts")))
        .await?;
    let words = [format!("kubectl logs --namespace {} job/{POOL}-init", ns.name())];
    let words = words.each_ref().map(String::as_str);
    initialized(&ns, POOL, (Status::False, Reason::InitFailed), &words).await?;
    let pgpool = ns.pgpool(POOL).await?;
    ensure!(is_ready(&pgpool), "{}", ns.conditions(POOL).await?);
    // No Service and no budget counts the pods of scripts.
    let pods = ns.api::<Pod>().list(&ListParams::default()).await?.items;
    let ours = ns.pods(POOL).await?;
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
    ns: &TestNamespace,
    name: &str,
    (status, reason): (Status, Reason),
    words: &[&str],
) -> anyhow::Result<()> {
    let condition = ConditionType::Initialized;
    // Longer than a condition usually takes: a script that fails is tried again three times, ever later.
    let says = Expected(condition, status, reason, words);
    ns.has_condition_within(name, says, READY * 2).await?;
    Ok(())
}

async fn jobs(ns: &TestNamespace) -> anyhow::Result<Vec<Option<String>>> {
    let jobs = ns.api::<Job>().list(&ListParams::default()).await?.items;
    let mut jobs: Vec<_> = jobs.iter().map(kube::ResourceExt::uid).collect();
    jobs.sort();
    Ok(jobs)
}

/// What is in the table, read from PostgreSQL itself.
async fn rows(context: &Context, table: &str) -> anyhow::Result<String> {
    let database = context.database().await?;
    let query = format!("select string_agg(who, ',' order by who) from {table}");
    let (workload, password) = (
        format!("statefulset/{DATABASE}"),
        format!("PGPASSWORD={}", database.password()),
    );
    let psql = ["psql", "-wXAth", "localhost", "-U", "postgres", "-c", &query];
    let arguments = [&["exec", &workload, "--", "env", &password], &psql[..]].concat();
    let output = context.kubectl(database.namespace().name(), &arguments).await;
    Ok(output.context("querying PostgreSQL")?.trim().to_owned())
}
