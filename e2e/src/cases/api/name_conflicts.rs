//! Names that are taken: by another Pgpool, or by an object of someone else. What exists is left alone, and
//! the Pgpool continues once the name is free.

use anyhow::Context as _;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject};
use local_cluster::manifests;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, Status};

use crate::case::Case;
use crate::case::shared_fixtures::with_operators;
use crate::namespace::fixtures::{self, ISSUER, Manifest, POOL};
use crate::namespace::pool::Expected;
use crate::namespace::{TestNamespace, equal};

pub(crate) fn cases() -> Vec<Case> {
    let taken: [(_, fn() -> Manifest, _); 4] = [
        ("names::the_service_of_another_is_left_alone", service, STALLED),
        ("names::the_secret_of_another_is_left_alone", secret, STALLED),
        ("names::the_workload_of_another_is_left_alone", workload, STALLED),
        (
            "names::the_certificate_of_another_is_left_alone",
            certificate,
            REFUSED,
        ),
    ];
    let mut cases = vec![Case::api(
        "names::of_two_pools_the_older_keeps_a_secret",
        |context| with_operators(context, one_secret),
    )];
    cases.extend(taken.map(|(name, theirs, condition)| {
        Case::api(name, move |context| {
            with_operators(context, move |ns| taken_name(ns, theirs(), condition))
        })
    }));
    cases
}

/// How the provisioner reports a conflict, and how ops-manager does.
const STALLED: (ConditionType, Status) = (ConditionType::Stalled, Status::True);
const REFUSED: (ConditionType, Status) = (ConditionType::CertificatesReady, Status::False);

async fn one_secret(ns: TestNamespace) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificates_ready(POOL).await?;
    let shared = json!([{"alias": "server", "secretName": "pool-server-cert"}]);
    let rival = fixtures::pgpool(ns.name())?
        .named("rival")
        .with("/spec/tls/certificates", shared);
    ns.put(&rival).await?;
    let (secret, holder) = (
        format!("Secret {}/pool-server-cert", ns.name()),
        format!("Pgpool {}/{POOL}", ns.name()),
    );
    let words = [secret.as_str(), &holder, "choose another secretName"];
    ns.certificates_not_ready("rival", Reason::SecretNameConflict, &words)
        .await?;
    ns.no_workload("rival").await?;
    ns.workload(POOL).await?;
    ns.certificates_ready(POOL).await?;
    ns.edit("rival", json!({"tls": {"certificates": []}})).await?;
    ns.certificates_ready("rival").await?;
    ns.workload("rival").await?;
    Ok(())
}

fn service() -> Manifest {
    let spec = json!({"ports": [{"port": 1}], "selector": {"app": "theirs"}});
    Manifest::of("v1", "Service", POOL, json!({"spec": spec}))
}

fn secret() -> Manifest {
    Manifest::of("v1", "Secret", "pool-users", json!({"data": {"theirs": "eA=="}}))
}

fn workload() -> Manifest {
    let labels = json!({"app": "theirs"});
    let spec = json!({
        "serviceName": "theirs",
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
    });
    Manifest::of("apps/v1", "StatefulSet", POOL, json!({"spec": spec}))
}

fn certificate() -> Manifest {
    let spec = json!({
        "secretName": "theirs",
        "dnsNames": ["theirs.example.com"],
        "issuerRef": {"name": "nowhere", "kind": "Issuer"},
    });
    Manifest::of(
        "cert-manager.io/v1",
        "Certificate",
        "pool-client-cert",
        json!({"spec": spec}),
    )
}

/// An object of someone else has a name that the Pgpool needs for one of its own.
async fn taken_name(
    ns: TestNamespace,
    theirs: Manifest,
    (condition, status): (ConditionType, Status),
) -> anyhow::Result<()> {
    let owner = Manifest::of("v1", "ConfigMap", "theirs", json!({}));
    let owner = ns.put(&owner).await?.uid().context("no UID")?;
    let owner = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "controller": true, "uid": owner,
    });
    let theirs = theirs.with("/metadata/ownerReferences", json!([owner]));
    let before = ns.put(&theirs).await?;
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    let name = before.name_any();
    let kind = theirs.0["kind"].as_str().unwrap_or_default();
    let place = format!("{kind} {}/{name}", ns.name());
    let words = [place.as_str(), "ConfigMap", "theirs", "delete it"];
    let expected = Expected(condition, status, Reason::NameConflict, &words);
    ns.has_condition(POOL, expected).await?;
    let api = manifests::api(ns.client(), ns.name(), &before).await?;
    untouched(&before, &api.get(&name).await?)?;
    api.delete(&name, &DeleteParams::default()).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    Ok(())
}

/// What its owner wrote is as it was. Its status may have changed, and what a controller added.
fn untouched(before: &DynamicObject, after: &DynamicObject) -> anyhow::Result<()> {
    let parts = |object: &DynamicObject| {
        let metadata = &object.metadata;
        (
            metadata.uid.clone(),
            metadata.generation,
            metadata.labels.clone(),
            metadata.owner_references.clone(),
            object.data.get("data").cloned(),
        )
    };
    equal("the object of someone else", &parts(after), &parts(before))
}
