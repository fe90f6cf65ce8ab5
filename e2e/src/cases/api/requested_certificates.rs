//! What users choose about their certificates reaches cert-manager, and what it issues is accepted: kinds of keys, a key that is
//! kept, and names for issuers that sign only some.

use anyhow::{Context as _, ensure};
use local_cluster::wait;
use serde_json::{Value, json};
use shared_types::conditions::{ConditionType, Reason, Status};

use crate::case::Case;
use crate::case::shared_fixtures::with_operators;
use crate::namespace::cert_manager::{SECRETS, SERVER};
use crate::namespace::fixtures::{self, ISSUER, POOL};
use crate::namespace::issuers::same_text;
use crate::namespace::pool::Expected;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api("requests::each_kind_of_key_is_issued_and_accepted", |context| {
            with_operators(context, keys)
        }),
        Case::api(
            "requests::a_kept_key_stays_and_is_not_replaced_by_another_kind",
            |context| with_operators(context, kept_key),
        ),
        Case::api(
            "requests::an_issuer_that_signs_few_names_is_asked_for_few",
            |context| with_operators(context, few_names),
        ),
        Case::api("requests::names_follow_the_spec_there_and_back", |context| {
            with_operators(context, names_change)
        }),
    ]
}

fn with_key(alias: &str, key: &Value) -> Value {
    json!({"alias": alias, "privateKey": key})
}

async fn keys(ns: TestNamespace) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    for [server, client, exporter] in [
        [
            json!({"algorithm": "ECDSA", "size": 384}),
            json!({"algorithm": "Ed25519"}),
            json!({"size": 3072, "encoding": "PKCS8"}),
        ],
        [
            json!({"algorithm": "Ed25519", "encoding": "PKCS8"}),
            json!({"algorithm": "ECDSA", "size": 521, "encoding": "PKCS8"}),
            json!({"algorithm": "ECDSA"}),
        ],
    ] {
        let certificates = json!([
            with_key("server", &server),
            with_key("client", &client),
            with_key("metrics-exporter", &exporter),
        ]);
        ns.put(&fixtures::pgpool(ns.name())?.with("/spec/tls/certificates", certificates))
            .await?;
        for (name, key) in SECRETS.into_iter().zip([server, client, exporter]) {
            let what = format!("{name} is requested with {key}");
            wait::until(&what, SOON, async || {
                let certificate = ns.certificate(name).await?;
                let found = &certificate.data["spec"]["privateKey"];
                for (field, value) in key.as_object().context("a key")? {
                    ensure!(found[field] == *value, "{field} of {found}");
                }
                let seen = &certificate.data["status"]["conditions"][0]["observedGeneration"];
                ensure!(
                    seen.as_i64() == certificate.metadata.generation,
                    "cert-manager is at it"
                );
                Ok(())
            })
            .await?;
        }
        ns.certificates_ready(POOL).await?;
        ns.workload(POOL).await?;
    }
    Ok(())
}

async fn kept_key(ns: TestNamespace) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    let server =
        |key: Value, duration: &str| json!([{"alias": "server", "privateKey": key, "duration": duration}]);
    let pool = fixtures::pgpool(ns.name())?;
    let never = json!({"rotationPolicy": "Never"});
    ns.put(
        &pool
            .clone()
            .with("/spec/tls/certificates", server(never.clone(), "2160h")),
    )
    .await?;
    ns.certificates_ready(POOL).await?;
    let (certificate, key) = pair(&ns).await?;

    ns.edit(POOL, json!({"tls": {"certificates": server(never, "2000h")}}))
        .await?;
    wait::until("another certificate is issued", SOON, async || {
        ensure!(!same_text(&pair(&ns).await?.0, &certificate), "it is the same");
        Ok(())
    })
    .await?;
    ensure!(same_text(&pair(&ns).await?.1, &key), "the key was replaced");

    let other = json!({"rotationPolicy": "Never", "algorithm": "ECDSA"});
    ns.edit(POOL, json!({"tls": {"certificates": server(other, "2000h")}}))
        .await?;
    let words = [
        "no new certificate can be issued",
        "rotationPolicy is Never",
        "set it to Always",
    ];
    let ready = Expected(
        ConditionType::CertificatesReady,
        Status::True,
        Reason::CertificatesIssued,
        &words,
    );
    ns.has_condition(POOL, ready).await?;
    ensure!(same_text(&pair(&ns).await?.1, &key), "the key was replaced");

    let rotated = json!({"rotationPolicy": "Always", "algorithm": "ECDSA"});
    ns.edit(POOL, json!({"tls": {"certificates": server(rotated, "2000h")}}))
        .await?;
    wait::until("the key is replaced", SOON, async || {
        ensure!(pair(&ns).await?.1.contains("BEGIN EC PRIVATE KEY"), "it is not");
        Ok(())
    })
    .await?;
    ns.certificates_ready(POOL).await
}

/// Certificate and key of the server.
async fn pair(ns: &TestNamespace) -> anyhow::Result<(String, String)> {
    let certificate = ns.secret_text(SERVER, "tls.crt").await?;
    Ok((certificate, ns.secret_text(SERVER, "tls.key").await?))
}

/// A CA that may sign full names of the cluster only.
const NARROW: &str = "
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self-signed}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: narrow}
spec:
  isCA: true
  commonName: narrow
  secretName: narrow
  privateKey: {algorithm: ECDSA, size: 256}
  nameConstraints: {critical: true, permitted: {dnsDomains: [svc.cluster.local]}}
  issuerRef: {name: self-signed, kind: Issuer}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: narrow}
spec: {ca: {secretName: narrow}}
";

async fn few_names(ns: TestNamespace) -> anyhow::Result<()> {
    ns.apply(NARROW).await?;
    let issuer = json!({"apiGroup": "cert-manager.io", "kind": "Issuer", "name": "narrow"});
    ns.put(&fixtures::pgpool(ns.name())?.with("/spec/tls/issuerRef", issuer))
        .await?;
    ns.certificates_not_ready(POOL, Reason::ChainBroken, &["narrow"])
        .await?;
    ns.no_workload(POOL).await?;

    ns.edit(POOL, json!({"tls": {"names": "service"}})).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    let full = |service: &str| vec![format!("{service}.{}.svc.cluster.local", ns.name())];
    has_names(&ns, SECRETS[0], &full("pool")).await?;
    has_names(&ns, SECRETS[2], &full("pool-stats")).await?;

    let own = full("pool-pods");
    let certificates = json!([{"alias": "server", "dnsNames": own}]);
    ns.edit(
        POOL,
        json!({"tls": {"names": "own", "certificates": certificates}}),
    )
    .await?;
    has_names(&ns, SECRETS[0], &own).await?;
    has_names(&ns, SECRETS[2], &[]).await?;
    ns.certificates_ready(POOL).await
}

async fn names_change(ns: TestNamespace) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    let pool = fixtures::pgpool(ns.name())?;
    ns.put(&pool).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    ns.edit(POOL, json!({"tls": {"names": "service"}})).await?;
    let full = format!("pool.{}.svc.cluster.local", ns.name());
    has_names(&ns, SERVER, std::slice::from_ref(&full)).await?;
    ns.certificates_ready(POOL).await?;
    binding_names(&ns, Some(&full)).await?;

    ns.edit(POOL, json!({"tls": {"names": null}})).await?;
    ns.certificates_ready(POOL).await?;
    wait::until("every name is there again", SOON, async || {
        let names = names(&ns, SERVER).await?;
        ensure!(names.iter().any(|name| name == "localhost"), "{names:?}");
        Ok(())
    })
    .await?;
    binding_names(&ns, None).await
}

/// The name that readers of the pool's `AppBinding` verify.
async fn binding_names(ns: &TestNamespace, expected: Option<&str>) -> anyhow::Result<()> {
    wait::until("the AppBinding has the name", SOON, async || {
        let binding = ns.api::<shared_types::AppBinding>().get(POOL).await?;
        let found = binding.spec.client_config.server_name;
        ensure!(found.as_deref() == expected, "{found:?}");
        Ok(())
    })
    .await
}

async fn has_names(ns: &TestNamespace, secret: &str, expected: &[String]) -> anyhow::Result<()> {
    let what = format!("{secret} has the names {expected:?}");
    wait::until(&what, SOON, async || {
        let found = names(ns, secret).await?;
        ensure!(found == expected, "it has {found:?}");
        Ok(())
    })
    .await
}

async fn names(ns: &TestNamespace, secret: &str) -> anyhow::Result<Vec<String>> {
    let leaf = tls_bundle::leaf(ns.secret_text(secret, "tls.crt").await?.as_bytes());
    Ok(leaf.context("no certificate")?.dns_names)
}
