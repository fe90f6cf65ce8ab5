//! Users come, and go, while the pool runs: in force in every pod soon, with no restart and no session lost.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::LogParams;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::flow::{READY, prepared};
use crate::case::{Case, Context};
use crate::images;
use crate::scene::Scene;
use crate::scene::fixtures::{DATABASE, Manifest, POOL};
use crate::scene::pool::Expected;

pub fn cases() -> Vec<Case> {
    vec![Case::cluster(
        "users::come_and_go_in_every_running_pod",
        come_and_go,
    )]
}

/// Pods of the pool.
const PODS: usize = 2;
/// How often the user comes and goes.
const ROUNDS: usize = 5;
/// Generous: a benchmark tells how soon it really is.
const LIMIT: Duration = Duration::from_mins(3);

async fn come_and_go(context: Context) -> anyhow::Result<()> {
    let (scene, pool) = prepared(&context).await?;
    let database = context.database().await?;
    let pool = pool
        .with("/spec/replicas", json!(PODS))
        .with("/spec/syncUsers", json!(true));
    scene.put(&pool).await?;
    scene.ready(POOL, READY).await?;
    scene.put(&database.credentials(scene.namespace())).await?;
    let before = scene.identities(POOL).await?;
    let user = format!("ann_{:08x}", rand::random::<u32>());
    let client = scene.put(&client(&scene, &user)).await?.name_any();
    wait::until("the session is open", LIMIT, async || {
        ensure!(log(&scene, &client).await?.contains("held first"), "not yet");
        Ok(())
    })
    .await?;
    let backend = database.scene();
    for round in 1..=ROUNDS {
        let begin = now()?;
        backend.put(&secret(&user, Some("open-sesame"))).await?;
        told(&scene, &client, "in", round, begin).await?;
        let begin = now()?;
        backend.delete::<Secret>(&secret_name(&user)).await?;
        told(&scene, &client, "out", round, begin).await?;
    }
    bad_secret(&scene, backend, &user).await?;
    wait::until("the session ends", LIMIT, async || {
        let said = log(&scene, &client).await?;
        ensure!(said.contains("held last"), "the session was lost: {said}");
        Ok(())
    })
    .await?;
    before.same(&scene.identities(POOL).await?)
}

/// A Secret that cannot be used is named, and the pool stays ready.
async fn bad_secret(scene: &Scene, backend: &Scene, user: &str) -> anyhow::Result<()> {
    backend.put(&secret(user, None)).await?;
    let name = secret_name(user);
    scene
        .says(
            POOL,
            Expected(
                ConditionType::UsersIncomplete,
                Status::True,
                Reason::UserSecretInvalid,
                &[&name, "password"],
            ),
        )
        .await?;
    scene.ready(POOL, READY).await?;
    backend.delete::<Secret>(&name).await
}

fn secret_name(user: &str) -> String {
    user.replace('_', "-")
}

fn secret(user: &str, password: Option<&str>) -> Manifest {
    let mut data = json!({ "username": user });
    if let Some(password) = password {
        data["password"] = password.into();
    }
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": secret_name(user), "labels": {
            "app.kubernetes.io/name": "postgreses.kubedb.com", "app.kubernetes.io/instance": DATABASE,
        }},
        "stringData": data,
    }))
}

/// Waits until the client has seen the change in every pod, and prints how soon that was.
async fn told(scene: &Scene, client: &str, what: &str, round: usize, begin: f64) -> anyhow::Result<()> {
    let mark = format!("{what} {round} ");
    let title = format!("round {round}: the user is {what} in every pod");
    let seen: Vec<f64> = wait::until(&title, LIMIT, async || {
        let said = log(scene, client).await?;
        let times = said
            .lines()
            .filter_map(|line| line.strip_prefix(&mark)?.parse().ok());
        let times: Vec<f64> = times.collect();
        ensure!(times.len() == PODS, "in {} of {PODS} pods: {said}", times.len());
        Ok(times)
    })
    .await?;
    let seconds: Vec<_> = seen.iter().map(|at| format!("{:.2} s", at - begin)).collect();
    eprintln!("user {what}, round {round}: {}", seconds.join(", "));
    Ok(())
}

fn now() -> anyhow::Result<f64> {
    Ok(SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)?
        .as_secs_f64())
}

async fn log(scene: &Scene, pod: &str) -> anyhow::Result<String> {
    let api = scene.api::<Pod>();
    api.logs(pod, &LogParams::default())
        .await
        .context("reading what the client said")
}

/// Makes the role, holds a session, and tries the user in each pod until it is in, then until it is out.
fn script(scene: &Scene, user: &str) -> String {
    let namespace = scene.namespace();
    let connection = |host: &str, user: &str| {
        format!("host={host} port=9999 dbname=postgres user={user} sslmode=require connect_timeout=5")
    };
    let service = connection(&format!("{POOL}.{namespace}.svc"), "postgres");
    let seconds = 60;
    let mut script = format!(
        "until psql '{service}' -wXqc \"create role {user} login password 'open-sesame'\"; do sleep 0.5; done\n\
         {{ echo \"select 'held first';\"; sleep {seconds}; echo \"select 'held last';\"; }} | psql '{service}' -wXAtq &\n"
    );
    for round in 1..=ROUNDS {
        for (what, condition) in [("in", "until"), ("out", "while")] {
            for pod in 0..PODS {
                let host = format!("{POOL}-{pod}.{POOL}-pods.{namespace}.svc");
                let user = connection(&host, user);
                // Writing to a String cannot fail.
                let _ = writeln!(
                    script,
                    "( {condition} PGPASSWORD=open-sesame psql '{user}' -wXAtqc 'select 1' >/dev/null 2>&1; do sleep 0.2; \
                     done; echo \"{what} {round} $(date +%s.%N)\" ) & p{pod}=$!"
                );
            }
            let all: Vec<_> = (0..PODS).map(|pod| format!("$p{pod}")).collect();
            let _ = writeln!(script, "wait {}", all.join(" "));
        }
    }
    script.push_str("wait\n");
    script
}

fn client(scene: &Scene, user: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "client"},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 999, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "client",
                "image": images::POSTGRES,
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", script(scene, user)],
                "env": [{"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {
                    "name": "postgres-auth", "key": "password",
                }}}],
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    }))
}
