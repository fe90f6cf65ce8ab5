//! Logins by certificate: which name certificates have, and what happens if other namespaces can get them too.

use anyhow::{Context as _, ensure};
use kube::api::{DeleteParams, Patch, PatchParams};
use local_cluster::wait;
use serde_json::json;
use shared_types::certificates::{ACCEPTED_DANGER, CLIENT_USER, NO_ROLE};
use shared_types::conditions::{self, ConditionType, Reason, Status};
use shared_types::{Pgpool, names};

use crate::case::shared_fixtures::{watched, with_operators};
use crate::case::{Case, Context};
use crate::namespace::cert_manager::SECRETS;
use crate::namespace::fixtures::{self, ISSUER, Manifest, PLATFORM_CA, POOL};
use crate::namespace::pool::Expected;
use crate::namespace::test_ca::TestCa;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api(
            "clients::certificates_name_a_role_only_where_they_log_in",
            |context| with_operators(context, named),
        ),
        Case::api("clients::an_issuer_of_every_namespace_needs_consent", |context| {
            with_operators(context, cluster_issuer)
        }),
        Case::api(
            "clients::a_ca_of_another_namespace_is_refused_and_reported",
            shared_ca,
        ),
    ]
}

/// The Secrets with the certificates that are shown to the pool.
const SHOWN: [&str; 2] = [SECRETS[1], SECRETS[2]];

fn by_certificate(ns: &TestNamespace) -> anyhow::Result<Manifest> {
    Ok(fixtures::pgpool(ns.name())?.with("/spec/clientAuthMode", json!("cert")))
}

async fn name_everybody(ns: &TestNamespace, name: &str) -> anyhow::Result<()> {
    wait::until(&format!("both certificates name {name}"), SOON, async || {
        for secret in SHOWN {
            let leaf = tls_bundle::leaf(ns.secret_text(secret, "tls.crt").await?.as_bytes());
            let found = leaf.context("no certificate")?.common_name;
            ensure!(found.as_deref() == Some(name), "{secret} names {found:?}");
        }
        Ok(())
    })
    .await
}

async fn annotate(ns: &TestNamespace, value: &str) -> anyhow::Result<()> {
    let annotations = json!({(names::ANNOTATION_SHARED_CLIENT_ISSUER): value});
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let api = ns.api::<Pgpool>();
    api.patch(POOL, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn named(ns: TestNamespace) -> anyhow::Result<()> {
    ns.apply(ISSUER).await?;
    ns.put(&fixtures::pgpool(ns.name())?).await?;
    ns.certificates_ready(POOL).await?;
    name_everybody(&ns, NO_ROLE).await?;
    ns.edit(POOL, json!({"clientAuthMode": "cert"})).await?;
    ns.certificates_ready(POOL).await?;
    name_everybody(&ns, CLIENT_USER).await?;
    ns.edit(POOL, json!({"clientAuthMode": "scram"})).await?;
    name_everybody(&ns, NO_ROLE).await?;
    ns.certificates_ready(POOL).await
}

async fn cluster_issuer(ns: TestNamespace) -> anyhow::Result<()> {
    let (ca, place) = (TestCa::new("company")?, "cert-manager");
    let secret = Manifest(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": ns.name(), "namespace": place},
        "stringData": {"tls.crt": ca.certificate(), "tls.key": ca.key(), "ca.crt": ca.certificate()},
    }));
    ns.put(&secret).await?;
    let issuer = Manifest(json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": ns.name()},
        "spec": {"ca": {"secretName": ns.name()}},
    }));
    ns.put(&issuer).await?;
    let reference = json!({"kind": "ClusterIssuer", "name": ns.name()});
    ns.put(&by_certificate(&ns)?.with("/spec/tls/issuerRef", reference))
        .await?;
    let words = [
        "serves every namespace",
        names::ANNOTATION_SHARED_CLIENT_ISSUER,
        ACCEPTED_DANGER,
    ];
    let reason = Reason::ClientIssuerNotNamespaced;
    ns.certificates_not_ready(POOL, reason, &words).await?;
    annotate(&ns, "true").await?;
    ns.certificates_not_ready(POOL, reason, &words).await?;
    ns.no_workload(POOL).await?;
    for secret in SHOWN {
        ensure!(
            ns.certificates().get_opt(secret).await?.is_none(),
            "{secret} was requested"
        );
    }

    annotate(&ns, ACCEPTED_DANGER).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    name_everybody(&ns, CLIENT_USER).await?;

    // What runs is not stopped when the consent is withdrawn.
    annotate(&ns, "no").await?;
    let shared = ConditionType::ClientIssuerShared;
    ns.has_condition(POOL, Expected(shared, Status::True, reason, &words))
        .await?;
    ns.certificates_ready(POOL).await
}

async fn shared_ca(context: Context) -> anyhow::Result<()> {
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    let other = TestNamespace::create(&context.client, "sharing").await?;
    let played = async {
        ns.backend().await?;
        other.backend().await?;
        share(&ns, &other).await
    };
    let played = watched(pair, &ns, played).await;
    other.remove().await?;
    played
}

async fn share(ns: &TestNamespace, other: &TestNamespace) -> anyhow::Result<()> {
    let ca = TestCa::new("root")?;
    for namespace in [ns, other] {
        namespace.issuer_of(PLATFORM_CA, &ca).await?;
    }
    ns.put(&by_certificate(ns)?).await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;

    other.put(&by_certificate(other)?).await?;
    let issuer = format!("Issuer {}/{PLATFORM_CA}", other.name());
    let words = [issuer.as_str(), "in another namespace", ACCEPTED_DANGER];
    let reason = Reason::ClientCaUsedElsewhere;
    other.certificates_not_ready(POOL, reason, &words).await?;
    other.no_workload(POOL).await?;
    name_everybody(other, NO_ROLE).await?;
    let conditions = other.conditions(POOL).await?;
    ensure!(
        !conditions.contains(ns.name()),
        "it names the owner: {conditions}"
    );

    // The first one runs on, with a condition.
    let shared = ConditionType::ClientIssuerShared;
    ns.has_condition(
        POOL,
        Expected(shared, Status::True, reason, &["in another namespace"]),
    )
    .await?;
    ns.certificates_ready(POOL).await?;
    name_everybody(ns, CLIENT_USER).await?;
    let conditions = ns.conditions(POOL).await?;
    ensure!(
        !conditions.contains(other.name()),
        "it names the owner: {conditions}"
    );

    annotate(other, ACCEPTED_DANGER).await?;
    other.certificates_ready(POOL).await?;
    other.workload(POOL).await?;

    other
        .api::<Pgpool>()
        .delete(POOL, &DeleteParams::default())
        .await?;
    wait::until("the CA is of one namespace again", SOON, async || {
        let pgpool = ns.pgpool(POOL).await?;
        let status = pgpool.status.context("no status")?;
        let found = conditions::find(&status.conditions, shared);
        ensure!(found.is_none(), "{found:?}");
        Ok(())
    })
    .await
}
