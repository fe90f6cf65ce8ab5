//! What stays of a Pgpool, by its policy. Kubernetes alone carries it out: the operators are stopped before
//! anything is deleted.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};
use local_cluster::wait;
use serde_json::json;
use shared_types::{Pgpool, names};

use crate::case::{Case, Context};
use crate::scene::fixtures::{self, ISSUER, Manifest};
use crate::scene::operator::explained;
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
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
    let scene = context.quiet_scene("deletion").await?;
    let mut operators = Vec::new();
    for name in ["ops-manager", "provisioner"] {
        let plan = context.plan(name, &scene).await?;
        operators.push(context.start(name, &scene, plan).await?);
    }
    let made = async {
        made(&scene).await?;
        changed(&scene).await
    };
    explained(made.await, || {
        operators.iter().map(|it| it.said(scene.namespace())).collect()
    })?;
    let kept = kept(&scene).await?;
    let theirs = secrets(&scene, &THEIRS).await?;
    for operator in &mut operators {
        operator.stop()?;
    }
    let api: Api<Pgpool> = scene.api();
    for pool in POOLS
        .map(|(pool, ..)| pool)
        .into_iter()
        .chain(["external", "named"])
    {
        api.delete(pool, &DeleteParams::default())
            .await
            .with_context(|| format!("deleting {pool}"))?;
    }
    wait::until("only what is to be kept is left", SOON, async || {
        let mut left = BTreeSet::new();
        for pool in POOLS
            .map(|(pool, ..)| pool)
            .into_iter()
            .chain(["external", "named"])
        {
            left.extend(scene.objects(pool).await?);
        }
        // The user's, though it bears labels like ours.
        left.remove("Secret external");
        let wanted: BTreeSet<_> = kept.iter().map(|name| format!("Secret {name}")).collect();
        let lost: Vec<_> = wanted.difference(&left).collect();
        ensure!(lost.is_empty(), "{lost:?} went too");
        ensure!(left == wanted, "{:?} are left too", left.difference(&wanted));
        Ok(())
    })
    .await?;
    ensure!(
        secrets(&scene, &THEIRS).await? == theirs,
        "a Secret of the user was changed"
    );
    Ok(())
}

/// The Secrets that are to stay.
async fn kept(scene: &Scene) -> anyhow::Result<BTreeSet<String>> {
    let mut kept = BTreeSet::new();
    for (pool, .., keeps) in POOLS {
        let pgpool = scene.pgpool(pool).await?;
        if keeps {
            kept.extend([
                names::auth_secret(&pgpool),
                names::config_secret(&pgpool),
                names::pcp_secret(&pgpool),
            ]);
        }
    }
    Ok(kept)
}

/// Everything as users want it at first.
async fn made(scene: &Scene) -> anyhow::Result<()> {
    scene.apply(ISSUER).await?;
    for name in ["external", "named"] {
        scene.put(&credentials(name)).await?;
    }
    scene
        .put(&Manifest::secret(
            "settings",
            json!({"pgpool.conf": "max_pool = 4\n"}),
        ))
        .await?;
    let pool = fixtures::pgpool(scene.namespace())?;
    for (name, policy, ..) in POOLS {
        scene
            .put(
                &pool
                    .clone()
                    .named(name)
                    .with("/spec/deletionPolicy", json!(policy)),
            )
            .await?;
    }
    let plain = pool
        .without("/spec/tls")
        .with("/spec/sslMode", json!("disable"))
        .with("/spec/deletionPolicy", json!("WipeOut"));
    let external = json!({"name": "external", "externallyManaged": true});
    scene
        .put(&plain.clone().named("external").with("/spec/authSecret", external))
        .await?;
    scene
        .put(
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
        scene.workload(name).await?;
    }
    Ok(())
}

/// The owners of credentials and settings follow the policy; a Secret with settings comes late.
async fn changed(scene: &Scene) -> anyhow::Result<()> {
    let settings = json!({"configuration": {"secretName": "settings"}});
    scene.edit("external", settings).await?;
    for (name, _, policy, keeps) in POOLS {
        scene.edit(name, json!({"deletionPolicy": policy})).await?;
        let pgpool = scene.pgpool(name).await?;
        for secret in [
            names::auth_secret(&pgpool),
            names::config_secret(&pgpool),
            names::pcp_secret(&pgpool),
        ] {
            let owned = |secret: &Secret| {
                let is_owned = !secret.owner_references().is_empty();
                ensure!(
                    is_owned != keeps,
                    "its owners are {:?}",
                    secret.owner_references()
                );
                Ok(())
            };
            wait::object(
                &scene.api::<Secret>(),
                &secret,
                SOON,
                "goes as the policy says",
                owned,
            )
            .await?;
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

/// Names and versions of Secrets.
async fn secrets(scene: &Scene, names: &[&str]) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let api = scene.api::<Secret>();
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
