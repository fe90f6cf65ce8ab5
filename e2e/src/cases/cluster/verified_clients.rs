//! The whole way from an issuer and a Pgpool to clients that verify the server's certificate.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{self, ConditionType};
use shared_types::{Alias, Pgpool};

use crate::case::{Case, Context};
use crate::matrix::pools;
use crate::namespace::cert_manager::SERVER;
use crate::namespace::fixtures::{self, ISSUER, Manifest, POOL};
use crate::namespace::pool::issued;
use crate::namespace::psql::Attempt;
use crate::namespace::{TestNamespace, offer_version};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster("flow::clients_verify_a_pool_of_two", |context| {
            two(context, pools::VERSION)
        }),
        Case::cluster("flow::clients_verify_a_pool_of_a_newer_pgpool", |context| {
            two(context, pools::NEWER)
        }),
        Case::cluster("flow::clients_verify_a_pool_with_one_name", one_name),
        Case::cluster("flow::only_restricted_pods_may_run_here", restricted),
    ]
}

/// Time for a new pool to be ready.
pub(crate) const READY: Duration = Duration::from_mins(4);

/// The namespace of a case with an issuer, and the manifest of a pool in front of the shared PostgreSQL.
pub(crate) async fn prepared(context: &Context) -> anyhow::Result<(TestNamespace, Manifest)> {
    let database = context.database().await?;
    let ns = context.test_namespace().await?;
    offer_version(ns.client()).await?;
    ns.apply(ISSUER).await?;
    Ok((ns, fixtures::pgpool(database.namespace().name())?))
}

async fn two(context: Context, version: &str) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.put(
        &pool
            .with("/spec/version", json!(version))
            .with("/spec/replicas", json!(2))
            .with("/spec/sslMode", json!("verify-full")),
    )
    .await?;
    let ready = ns.ready(POOL, READY).await?;
    proven(&ready, 2)?;
    kubectl_waits(&context, &ns).await?;

    let attempts = [Attempt::verify_full(), Attempt::plain(), Attempt::wrong_ca()];
    let outcomes = ns.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("SSL off")?;
    outcomes[2].expect_refusal("certificate verify failed")?;
    Ok(())
}

/// The certificate has the full name of the Service alone, and keys of other kinds; then it gets every name again.
async fn one_name(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let certificates = json!([
        {"alias": "server", "privateKey": {"algorithm": "ECDSA", "size": 384}},
        {"alias": "client", "privateKey": {"algorithm": "Ed25519"}},
    ]);
    ns.put(
        &pool
            .with("/spec/replicas", json!(2))
            .with("/spec/sslMode", json!("verify-full"))
            .with("/spec/tls/names", json!("service"))
            .with("/spec/tls/certificates", certificates),
    )
    .await?;
    proven(&ns.ready(POOL, READY).await?, 2)?;
    let short = Attempt::verify_full();
    let full = Attempt {
        title: "the full name",
        options: format!("{} host={POOL}.{}.svc.cluster.local", short.options, ns.name()),
    };
    let attempts = [full.clone(), short.clone()];
    let outcomes = ns.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("does not match host name")?;

    ns.edit(POOL, json!({"tls": {"names": null}})).await?;
    wait::until("both pods serve every name", READY, async || {
        let pgpool = ns.pgpool(POOL).await?;
        let leaf = tls_bundle::leaf(ns.secret_text(SERVER, "tls.crt").await?.as_bytes());
        let names = leaf.context("no certificate")?.dns_names;
        ensure!(names.iter().any(|name| name == "localhost"), "{names:?}");
        proven(&pgpool, 2)
    })
    .await?;
    let attempts = [full, short];
    let outcomes = ns.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_row()
}

/// Each pod serves the certificate that was issued, and every condition is as it should be.
fn proven(pgpool: &Pgpool, replicas: usize) -> anyhow::Result<()> {
    let status = pgpool.status.as_ref().context("no status")?;
    let issued = issued(pgpool)?;
    ensure!(
        status.certificates.len() == Alias::ALL.len(),
        "{:?}",
        status.certificates
    );
    ensure!(
        status.certificates.iter().all(|certificate| certificate.ready),
        "{:?}",
        status.certificates
    );
    ensure!(status.pods.len() == replicas, "{:?}", status.pods);
    for pod in &status.pods {
        ensure!(pod.ready, "{pod:?}");
        ensure!(
            pod.served_fingerprint.as_ref() == Some(&issued),
            "{pod:?} instead of {issued}"
        );
    }
    for condition in [
        ConditionType::ProvisioningStarted,
        ConditionType::ReplicaReady,
        ConditionType::AcceptingConnection,
        ConditionType::Ready,
        ConditionType::Provisioned,
        ConditionType::CertificatesReady,
    ] {
        ensure!(
            conditions::is_true(&status.conditions, condition),
            "{condition}: {:?}",
            status.conditions
        );
    }
    for condition in [ConditionType::Reconciling, ConditionType::Stalled] {
        ensure!(
            !conditions::is_true(&status.conditions, condition),
            "{condition}: {:?}",
            status.conditions
        );
    }
    Ok(())
}

pub(crate) async fn kubectl_waits(context: &Context, ns: &TestNamespace) -> anyhow::Result<()> {
    let arguments = [
        "wait",
        "--for=condition=Ready",
        "--timeout=240s",
        &format!("pgpool/{POOL}"),
    ];
    context.kubectl(ns.name(), &arguments).await.map(drop)
}

/// The namespaces of these cases hold the pods to the restricted standard: a pod that does not keep to it is
/// refused, so those of a pool do.
async fn restricted(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    let careless = Manifest::of(
        "v1",
        "Pod",
        "careless",
        json!({"spec": {"containers": [{"name": "a", "image": crate::images::POSTGRES}]}}),
    );
    let refusal = ns
        .put(&careless)
        .await
        .err()
        .context("a careless pod was accepted")?;
    ensure!(
        format!("{refusal:#}").contains("restricted"),
        "refused otherwise: {refusal:#}"
    );
    Ok(())
}
