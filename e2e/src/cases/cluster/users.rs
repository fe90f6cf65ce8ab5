//! Users are added and removed while the pool runs: soon in force in every pod, with no restart and no session lost.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::fixtures::{DATABASE, Manifest, POOL};
use crate::namespace::pods::{host, now};
use crate::namespace::pool::Expected;
use crate::namespace::{TestNamespace, psql};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::cluster(
        "users::come_and_go_in_every_running_pod",
        come_and_go,
    )]
}

const PODS: usize = 2;
const ROUNDS: usize = 5;
/// Generous: a benchmark measures how soon it really is.
const LIMIT: Duration = Duration::from_mins(3);

async fn come_and_go(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let database = context.database().await?;
    let pool = pool
        .with("/spec/replicas", json!(PODS))
        .with("/spec/syncUsers", json!(true));
    ns.apply_and_wait(&pool, READY).await?;
    ns.put(&database.credentials(ns.name())).await?;
    let before = ns.identities(POOL).await?;
    let user = format!("ann_{:08x}", rand::random::<u32>());
    let client = ns
        .put(&psql::pod("client", &script(&ns, &user), "postgres-auth", &[]))
        .await?
        .name_any();
    wait::until("the session is open", LIMIT, async || {
        ensure!(ns.log(&client).await?.contains("held first"), "not yet");
        Ok(())
    })
    .await?;
    let backend = database.namespace();
    for round in 1..=ROUNDS {
        let begin = now()?;
        backend.put(&secret(&user, Some("open-sesame"))).await?;
        reported(&ns, &client, "in", round, begin).await?;
        let begin = now()?;
        backend.delete::<Secret>(&secret_name(&user)).await?;
        reported(&ns, &client, "out", round, begin).await?;
    }
    bad_secret(&ns, backend, &user).await?;
    wait::until("the session ends", LIMIT, async || {
        let output = ns.log(&client).await?;
        ensure!(output.contains("held last"), "the session was lost: {output}");
        Ok(())
    })
    .await?;
    before.same(&ns.identities(POOL).await?)
}

/// A Secret that cannot be used is named, and the pool stays ready.
async fn bad_secret(ns: &TestNamespace, backend: &TestNamespace, user: &str) -> anyhow::Result<()> {
    backend.put(&secret(user, None)).await?;
    let name = secret_name(user);
    ns.has_condition(
        POOL,
        Expected(
            ConditionType::UsersIncomplete,
            Status::True,
            Reason::UserSecretInvalid,
            &[&name, "password"],
        ),
    )
    .await?;
    ns.ready(POOL, READY).await?;
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
    let labels = json!({
        "app.kubernetes.io/name": "postgreses.kubedb.com",
        "app.kubernetes.io/instance": DATABASE,
    });
    Manifest::secret(&secret_name(user), data).with("/metadata/labels", labels)
}

/// Waits until the client has seen the change in every pod, and prints how long that took.
async fn reported(
    ns: &TestNamespace,
    client: &str,
    what: &str,
    round: usize,
    begin: f64,
) -> anyhow::Result<()> {
    let mark = format!("{what} {round} ");
    let title = format!("round {round}: the user is {what} in every pod");
    let seen = ns.times(client, &mark, PODS, LIMIT).await.context(title)?;
    let seconds: Vec<_> = seen.iter().map(|at| format!("{:.2} s", at - begin)).collect();
    eprintln!("user {what}, round {round}: {}", seconds.join(", "));
    Ok(())
}

/// Makes the role, holds a session, and tries the user in each pod until it is in, then until it is out.
fn script(ns: &TestNamespace, user: &str) -> String {
    let namespace = ns.name();
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
                let host = host(POOL, pod, namespace);
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
