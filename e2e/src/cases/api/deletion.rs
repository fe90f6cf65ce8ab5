//! What is left of a deleted Pgpool, by its policy. Kubernetes alone deletes the rest: the operators are stopped before.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use local_cluster::wait;
use serde_json::json;
use shared_types::{Pgpool, names};

use super::ownership::kept_secrets;
use crate::case::{Case, Context};
use crate::namespace::fixtures::{self, ISSUER, Manifest};
use crate::namespace::operator_process::with_logs;
use crate::namespace::{SOON, TestNamespace, equal};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::api(
        "deletion::each_policy_holds_with_the_operators_stopped",
        stopped,
    )]
}

/// A Pgpool by its policy at first, and the one it has when it is deleted; and whether it keeps its credentials.
const POOLS: [(&str, &str, &str, bool); 5] = [
    ("kept", "Delete", "Delete", true),
    ("halted", "Halt", "Halt", true),
    ("wiped", "WipeOut", "WipeOut", false),
    ("spared", "WipeOut", "Delete", true),
    ("doomed", "Delete", "WipeOut", false),
];

/// The user's own Secrets: credentials of two kinds, and settings.
const THEIRS: [&str; 3] = ["external", "named", "settings"];

async fn stopped(context: Context) -> anyhow::Result<()> {
    let ns = context.namespace_without_operators("deletion").await?;
    let mut operators = Vec::new();
    for name in ["ops-manager", "provisioner"] {
        let plan = context.plan(name, &ns).await?;
        operators.push(context.start(name, &ns, plan).await?);
    }
    let made = async {
        made(&ns).await?;
        changed(&ns).await
    };
    with_logs(made.await, || {
        operators.iter().map(|it| it.log_lines(ns.name())).collect()
    })?;
    let kept = kept(&ns).await?;
    let theirs = secrets(&ns, &THEIRS).await?;
    for operator in &mut operators {
        operator.stop()?;
    }
    let pools = || {
        POOLS
            .map(|(pool, ..)| pool)
            .into_iter()
            .chain(["external", "named"])
    };
    for pool in pools() {
        ns.delete::<Pgpool>(pool).await?;
    }
    wait::until("only what the policies keep is left", SOON, async || {
        let mut left = BTreeSet::new();
        for pool in pools() {
            left.extend(ns.objects(pool).await?);
        }
        // The user's, though it has labels like ours.
        left.remove("Secret external");
        equal("what is left", &left, &kept)
    })
    .await?;
    ensure!(
        secrets(&ns, &THEIRS).await? == theirs,
        "a Secret of the user was changed"
    );
    Ok(())
}

async fn kept(ns: &TestNamespace) -> anyhow::Result<BTreeSet<String>> {
    let mut kept = BTreeSet::new();
    for (pool, .., keeps) in POOLS {
        if keeps {
            kept.extend(kept_secrets(&ns.pgpool(pool).await?));
        }
    }
    Ok(kept)
}

async fn made(ns: &TestNamespace) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    for name in ["external", "named"] {
        ns.put(&credentials(name)).await?;
    }
    let settings = Manifest::secret("settings", json!({"pgpool.conf": "max_pool = 4\n"}));
    ns.put(&settings).await?;
    let pool = fixtures::pgpool(ns.name())?;
    for (name, policy, ..) in POOLS {
        ns.put(
            &pool
                .clone()
                .named(name)
                .with("/spec/deletionPolicy", json!(policy)),
        )
        .await?;
    }
    let plain = pool.without_tls().with("/spec/deletionPolicy", json!("WipeOut"));
    let external = json!({"name": "external", "externallyManaged": true});
    ns.put(&plain.clone().named("external").with("/spec/authSecret", external))
        .await?;
    ns.put(
        &plain
            .named("named")
            .with("/spec/authSecret", json!({"name": "named"})),
    )
    .await?;
    for name in POOLS
        .map(|(name, ..)| name)
        .into_iter()
        .chain(["external", "named"])
    {
        ns.workload(name).await?;
    }
    Ok(())
}

/// The owner references of credentials and settings follow the deletion policy, also for a Secret referenced later.
async fn changed(ns: &TestNamespace) -> anyhow::Result<()> {
    let settings = json!({"configuration": {"secretName": "settings"}});
    ns.edit("external", settings).await?;
    for (name, _, policy, keeps) in POOLS {
        ns.edit(name, json!({"deletionPolicy": policy})).await?;
        for secret in kept_secrets(&ns.pgpool(name).await?) {
            let owned = |secret: &Secret| {
                let is_owned = !secret.owner_references().is_empty();
                ensure!(
                    is_owned != keeps,
                    "its owners are {:?}",
                    secret.owner_references()
                );
                Ok(())
            };
            let secret = secret.trim_start_matches("Secret ");
            let secrets = ns.api::<Secret>();
            wait::object(&secrets, secret, SOON, "is owned as the policy says", owned).await?;
        }
    }
    Ok(())
}

/// A Secret of the user, with labels that would make it ours if it were not for him.
fn credentials(name: &str) -> Manifest {
    let labels = if name == "external" {
        json!(names::selector_labels(name))
    } else {
        json!({"team": "shop"})
    };
    Manifest(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
        "metadata": {"name": name, "labels": labels},
        "stringData": {"username": "operator", "password": "of-the-user"},
    }))
}

async fn secrets(ns: &TestNamespace, names: &[&str]) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let api = ns.api::<Secret>();
    let mut found = Vec::new();
    for name in names {
        let secret = api
            .get(name)
            .await
            .with_context(|| format!("reading Secret {name}"))?;
        found.push((secret.name_any(), secret.resource_version()));
    }
    Ok(found)
}
