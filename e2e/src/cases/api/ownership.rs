//! Who writes what: each operator its own fields and nothing else, and nothing at all once all is done; and what is left
//! of a deleted Pgpool.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::ResourceExt as _;
use kube::api::ListParams;
use local_cluster::wait;
use serde_json::{Value, json};
use shared_types::{Pgpool, names};

use super::audited_writes::{Writes, now};
use crate::case::shared_fixtures::{watched, with_operators};
use crate::case::{Case, Context};
use crate::namespace::cert_manager::SECRETS;
use crate::namespace::fixtures::{self, ISSUER, POOL};
use crate::namespace::{SOON, TestNamespace, equal};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api("ownership::each_operator_writes_its_own_fields", |context| {
            with_operators(context, fields)
        }),
        Case::api("ownership::nothing_is_written_once_all_is_done", idle),
        Case::api("ownership::nothing_stays_of_a_wiped_pool", |context| {
            with_operators(context, wiped)
        }),
        Case::api("ownership::credentials_outlive_a_deleted_pool", |context| {
            with_operators(context, deleted)
        }),
    ]
}

async fn handed_over(ns: &TestNamespace) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    Ok(())
}

async fn fields(ns: TestNamespace) -> anyhow::Result<()> {
    handed_over(&ns).await?;
    status_fields(&ns.pgpool(POOL).await?)?;
    for service in ns.api::<Service>().list(&of_pool()).await? {
        let managers = managers(service.managed_fields());
        let only = managers == BTreeSet::from([names::PROVISIONER]);
        ensure!(only, "Service {} is written by {managers:?}", service.name_any());
    }
    for certificate in ns.certificates().list(&of_pool()).await? {
        let managers = managers(certificate.managed_fields());
        let ours = managers.contains(names::OPS_MANAGER) && !managers.contains(names::PROVISIONER);
        ensure!(
            ours,
            "Certificate {} is written by {managers:?}",
            certificate.name_any()
        );
    }
    for name in SECRETS {
        let secret = ns.api::<Secret>().get(name).await?;
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
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    ns.backend().await?;
    let writes = Writes::of(pair, &ns);
    let case = async {
        let begin = now();
        handed_over(&ns).await?;
        ensure!(
            !writes.since(begin)?.is_empty(),
            "the audit log has no write at all"
        );
        ns.first_pod(POOL).await?;
        for name in SECRETS {
            ns.at_rest(name).await?;
        }
        writes.over().await?;
        writes.none().await
    };
    watched(pair, &ns, case).await
}

async fn wiped(ns: TestNamespace) -> anyhow::Result<()> {
    removed(ns, "WipeOut").await
}

async fn deleted(ns: TestNamespace) -> anyhow::Result<()> {
    removed(ns, "Delete").await
}

/// Deletes a pool with a policy, and waits until only what the policy keeps is left of it.
async fn removed(ns: TestNamespace, policy: &str) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    let pool = fixtures::pgpool(ns.name())?.with("/spec/deletionPolicy", json!(policy));
    ns.put(&pool).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    let kept = match policy {
        "Delete" => kept_secrets(&ns.pgpool(POOL).await?),
        _ => BTreeSet::new(),
    };
    ns.delete::<Pgpool>(POOL).await?;
    wait::gone(&ns.api::<Pgpool>(), POOL, SOON).await?;
    wait::until("only what the policy keeps is left", SOON, async || {
        let left: BTreeSet<_> = ns.objects(POOL).await?.into_iter().collect();
        equal("what is left", &left, &kept)
    })
    .await
}

/// The Secrets that outlive a pool unless its policy is `WipeOut`.
pub(super) fn kept_secrets(pgpool: &Pgpool) -> BTreeSet<String> {
    let secrets = [
        names::auth_secret(pgpool),
        names::config_secret(pgpool),
        names::pcp_secret(pgpool),
    ];
    secrets.into_iter().map(|name| format!("Secret {name}")).collect()
}
