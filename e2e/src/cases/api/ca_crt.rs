//! Issuers whose `ca.crt` is not enough for clients: it is missing, or has no root certificate.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, Status};

use crate::case::Case;
use crate::case::shared_fixtures::with_operators;
use crate::namespace::TestNamespace;
use crate::namespace::cert_manager::{SECRETS, SERVER};
use crate::namespace::external_issuer;
use crate::namespace::fixtures::{self, PLATFORM_CA, POOL};
use crate::namespace::pool::{Expected, certificate_copy};
use crate::namespace::test_ca::TestCa;

/// For cert-manager and both operators.
const SOON: Duration = Duration::from_mins(1);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api("ca_crt::an_issuer_without_one_is_a_warning", |context| {
            with_operators(context, absent)
        }),
        Case::api(
            "ca_crt::an_intermediate_is_a_warning_until_clients_are_verified_with_it",
            |context| with_operators(context, intermediate),
        ),
        Case::api(
            "ca_crt::an_issuer_with_its_chain_publishes_the_root_and_may_renew_it",
            |context| with_operators(context, chain),
        ),
        Case::api(
            "ca_crt::a_login_with_the_name_of_its_ca_is_not_requested",
            |context| with_operators(context, namesake),
        ),
    ]
}

/// What the condition says about the certificates of the pool, which are ready.
async fn warned(ns: &TestNamespace, words: &[&str]) -> anyhow::Result<()> {
    let (condition, reason) = (ConditionType::CertificatesReady, Reason::RootNotPublished);
    ns.has_condition(POOL, Expected(condition, Status::True, reason, words))
        .await
}

async fn absent(ns: TestNamespace) -> anyhow::Result<()> {
    let ca = TestCa::new("a public root")?.intermediate("a public CA")?;
    let pool = fixtures::pgpool(ns.name())?.with("/spec/tls/issuerRef", external_issuer::reference());
    ns.put(&pool).await?;
    ns.sign_requests(&ca).await?;
    let secret = format!("Secret {}/{SERVER}", ns.name());
    warned(
        &ns,
        &[&secret, "ca.crt is missing", "a public root", "sslrootcert"],
    )
    .await?;
    let issued = ns.api::<Secret>().get(SERVER).await?;
    let data = issued.data.unwrap_or_default();
    ensure!(
        data.get("ca.crt").is_none_or(|ca| ca.0.is_empty()),
        "this issuer does publish a CA"
    );
    // The pods get their pair all the same, and the CA of nobody.
    let workload = ns.workload(POOL).await?;
    let copy = certificate_copy(&workload)?;
    ensure!(ns.secret_text(&copy, "tls.crt").await? == ns.secret_text(SERVER, "tls.crt").await?);
    for file in ["ca.pem", "server-ca.pem"] {
        ensure!(ns.secret_text(&copy, file).await?.is_empty(), "{file}");
    }
    Ok(())
}

async fn intermediate(ns: TestNamespace) -> anyhow::Result<()> {
    let ca = TestCa::new("the company root")?.intermediate("the department")?;
    ns.issuer_of(PLATFORM_CA, &ca).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    let secret = format!("Secret {}/{SERVER}", ns.name());
    warned(
        &ns,
        &[&secret, "the department", "the company root", "sslrootcert"],
    )
    .await?;
    ns.workload(POOL).await?;

    ns.edit(POOL, json!({"clientAuthMode": "cert"})).await?;
    let words = ["ca.crt", "the company root"];
    ns.certificates_not_ready(POOL, Reason::RootMissing, &words)
        .await?;
    ns.edit(POOL, json!({"clientAuthMode": "scram"})).await?;
    warned(&ns, &["the company root"]).await
}

/// An issuer with a chain up to the root; then one with the root alone, which is renewed under its key, and under another one.
async fn chain(ns: TestNamespace) -> anyhow::Result<()> {
    let root = TestCa::new("the company root")?;
    let department = root.intermediate("the department")?;
    ns.issuer_of(PLATFORM_CA, &department).await?;
    ns.put_chain(PLATFORM_CA, &[&department, &root]).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    published(&ns, &root).await?;

    let renewed = root.renewed("the company root")?;
    for ca in [&root, &renewed, &TestCa::new("the company root")?] {
        ns.put_ca(PLATFORM_CA, ca).await?;
        ns.api::<Secret>()
            .delete(SERVER, &DeleteParams::default())
            .await?;
        published(&ns, ca).await?;
    }
    Ok(())
}

/// The certificate of the pool is good, and clients can verify it with this CA: the pods get both.
async fn published(ns: &TestNamespace, ca: &TestCa) -> anyhow::Result<()> {
    wait::until("the pods get a certificate of this CA", SOON, async || {
        let copy = certificate_copy(&ns.workload(POOL).await?)?;
        for (secret, file) in [(SERVER, "ca.crt"), (copy.as_str(), "server-ca.pem")] {
            let published = ns.secret_text(secret, file).await?;
            ensure!(published == ca.certificate(), "{secret} has {published}");
        }
        Ok(())
    })
    .await?;
    ns.certificates_ready(POOL).await
}

async fn namesake(ns: TestNamespace) -> anyhow::Result<()> {
    ns.issuer_of(PLATFORM_CA, &TestCa::new("postgres")?).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificates_ready(POOL).await?;
    ns.edit(POOL, json!({"clientAuthMode": "cert"})).await?;
    let issuer = format!("Issuer {}/{PLATFORM_CA}", ns.name());
    let words = [
        "CN=postgres",
        issuer.as_str(),
        "issue the CA again under another name",
    ];
    ns.certificates_not_ready(POOL, Reason::SubjectOfCa, &words)
        .await?;
    for secret in [SECRETS[1], SECRETS[2]] {
        let leaf = tls_bundle::leaf(ns.secret_text(secret, "tls.crt").await?.as_bytes());
        let name = leaf.and_then(|leaf| leaf.common_name);
        ensure!(name.as_deref() != Some("postgres"), "{secret} was requested");
    }
    Ok(())
}
