//! Who writes what: each operator its own fields and nothing else, nothing at all once all is done, and
//! nothing stays when the Pgpool goes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams};
use local_cluster::wait;
use serde_json::{Value, json};
use shared_types::{Pgpool, names};

use super::writes::{Writes, now};
use crate::case::{Case, Context};
use crate::cases::props::{served, watched};
use crate::scene::Scene;
use crate::scene::certificates::SECRETS;
use crate::scene::fixtures::{self, ISSUER, POOL};

pub fn cases() -> Vec<Case> {
    vec![
        Case::api("ownership::each_operator_writes_its_own_fields", |context| {
            served(context, fields)
        }),
        Case::api("ownership::nothing_is_written_once_all_is_done", idle),
        Case::api("ownership::nothing_stays_of_a_wiped_pool", |context| {
            served(context, wiped)
        }),
        Case::api("ownership::credentials_outlive_a_deleted_pool", |context| {
            served(context, deleted)
        }),
    ]
}

async fn handed_over(scene: &Scene) -> anyhow::Result<()> {
    scene.apply(ISSUER).await?;
    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    Ok(())
}

async fn fields(scene: Scene) -> anyhow::Result<()> {
    handed_over(&scene).await?;
    status_fields(&scene.pgpool(POOL).await?)?;
    for service in scene.api::<Service>().list(&of_pool()).await? {
        let managers = managers(service.managed_fields());
        let only = managers == BTreeSet::from([names::PROVISIONER]);
        ensure!(only, "Service {} is written by {managers:?}", service.name_any());
    }
    for certificate in scene.certificates().list(&of_pool()).await? {
        let managers = managers(certificate.managed_fields());
        let ours = managers.contains(names::OPS_MANAGER) && !managers.contains(names::PROVISIONER);
        ensure!(
            ours,
            "Certificate {} is written by {managers:?}",
            certificate.name_any()
        );
    }
    for name in SECRETS {
        let secret = scene.api::<Secret>().get(name).await?;
        let managers = managers(secret.managed_fields());
        ensure!(
            !managers.contains(names::PROVISIONER),
            "the provisioner writes into {name}"
        );
        let owned = secret
            .owner_references()
            .iter()
            .any(|owner| owner.kind == "Pgpool");
        ensure!(owned, "Secret {name} does not go with its Pgpool");
        ensure!(
            secret.labels().contains_key(names::LABEL_INSTANCE),
            "Secret {name} has no labels"
        );
    }
    Ok(())
}

const PROVISIONERS: [&str; 10] = [
    "status/phase",
    "status/observedGeneration",
    "status/pods",
    "status/conditions/ProvisioningStarted",
    "status/conditions/ReplicaReady",
    "status/conditions/AcceptingConnection",
    "status/conditions/Ready",
    "status/conditions/Provisioned",
    "status/conditions/Reconciling",
    "status/conditions/Stalled",
];

const OPS_MANAGERS: [&str; 3] = [
    "status/certificates",
    "status/conditions/CertificatesReady",
    "status/conditions/Paused",
];

/// Each operator writes some of the fields that are its own, and nothing else of the Pgpool.
fn status_fields(pgpool: &Pgpool) -> anyhow::Result<()> {
    let written = written(pgpool.managed_fields());
    let operators = [
        (names::PROVISIONER, &PROVISIONERS[..], "status/phase"),
        (names::OPS_MANAGER, &OPS_MANAGERS[..], "status/certificates"),
    ];
    for (name, own, one) in operators {
        let fields = written
            .get(name)
            .with_context(|| format!("{name} writes nothing"))?;
        ensure!(
            fields.contains(one),
            "{name} does not write {one}, only {fields:?}"
        );
        ensure!(
            fields.iter().all(|field| own.contains(&field.as_str())),
            "{name} writes {fields:?}"
        );
    }
    let others: Vec<_> = written
        .keys()
        .filter(|name| name.starts_with("pgpool-"))
        .collect();
    ensure!(others.len() == operators.len(), "others write too: {others:?}");
    Ok(())
}

fn of_pool() -> ListParams {
    ListParams::default().labels(&format!("{}={POOL}", names::LABEL_INSTANCE))
}

fn managers(entries: &[ManagedFieldsEntry]) -> BTreeSet<&str> {
    entries
        .iter()
        .filter_map(|entry| entry.manager.as_deref())
        .collect()
}

/// The fields of each manager, two levels deep, and each condition by its type.
fn written(entries: &[ManagedFieldsEntry]) -> BTreeMap<&str, BTreeSet<String>> {
    let mut written: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for entry in entries {
        let fields = entry.fields_v1.as_ref().map_or(&Value::Null, |fields| &fields.0);
        let of_manager = written
            .entry(entry.manager.as_deref().unwrap_or_default())
            .or_default();
        for (part, inner) in fields.as_object().into_iter().flatten() {
            for (field, items) in inner.as_object().into_iter().flatten() {
                let path = format!("{}/{}", bare(part), bare(field));
                if field == "f:conditions" {
                    let keys = items
                        .as_object()
                        .into_iter()
                        .flatten()
                        .filter_map(|(key, _)| key.strip_prefix("k:"));
                    let keys = keys.filter_map(|key| serde_json::from_str::<Value>(key).ok());
                    of_manager
                        .extend(keys.filter_map(|key| Some(format!("{path}/{}", key["type"].as_str()?))));
                } else {
                    of_manager.insert(path);
                }
            }
        }
    }
    written
}

fn bare(key: &str) -> &str {
    key.strip_prefix("f:").unwrap_or(key)
}

/// A Pgpool that has all it can have here, its pods, costs no write at all.
async fn idle(context: Context) -> anyhow::Result<()> {
    let company = context.served().await?;
    let scene = context.scene().await?;
    scene.backend().await?;
    let writes = Writes::of(company, &scene);
    let case = async {
        let begin = now();
        handed_over(&scene).await?;
        ensure!(
            !writes.since(begin)?.is_empty(),
            "the audit log tells of no write at all"
        );
        scene.first_pod(POOL).await?;
        for name in SECRETS {
            scene.at_rest(name).await?;
        }
        writes.over().await?;
        writes.none().await
    };
    watched(company, &scene, case).await
}

async fn wiped(scene: Scene) -> anyhow::Result<()> {
    handed_over(&scene).await?;
    remove(&scene).await?;
    wait::until("nothing of the pool is left", crate::scene::SOON, async || {
        let left = left(&scene).await?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}

async fn deleted(scene: Scene) -> anyhow::Result<()> {
    scene.apply(ISSUER).await?;
    scene
        .put(&fixtures::pgpool(scene.namespace())?.with("/spec/deletionPolicy", json!("Delete")))
        .await?;
    scene.workload(POOL).await?;
    let pgpool = scene.pgpool(POOL).await?;
    let kept = BTreeSet::from([
        names::auth_secret(&pgpool),
        names::config_secret(&pgpool),
        names::pcp_secret(&pgpool),
    ]);
    remove(&scene).await?;
    wait::until(
        "only the credentials and the configuration are left",
        crate::scene::SOON,
        async || {
            let left = left(&scene).await?;
            let wanted: BTreeSet<_> = kept.iter().map(|name| format!("Secret {name}")).collect();
            ensure!(left.is_superset(&wanted), "they went too: {left:?} is left");
            ensure!(left == wanted, "{left:?}");
            Ok(())
        },
    )
    .await
}

async fn remove(scene: &Scene) -> anyhow::Result<()> {
    let api: Api<Pgpool> = scene.api();
    api.delete(POOL, &DeleteParams::default())
        .await
        .context("deleting the Pgpool")?;
    wait::gone(&api, POOL, crate::scene::SOON).await
}

/// Everything that bears the labels of the pool.
async fn left(scene: &Scene) -> anyhow::Result<BTreeSet<String>> {
    Ok(scene.objects(POOL).await?.into_iter().collect())
}
