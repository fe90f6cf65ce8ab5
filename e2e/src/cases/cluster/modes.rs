//! How clients log in: with each kind of password, and with a certificate.

use anyhow::ensure;
use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::metrics::up;
use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::matrix::batches::{self, Databases};
use crate::matrix::change_report;
use crate::matrix::outcomes::{Outcome, counts};
use crate::matrix::{routes, transitions};
use crate::namespace::fixtures::{self, Manifest, PLATFORM_CA, POOL};
use crate::namespace::pool::Expected;
use crate::namespace::psql::{Attempt, OTHER_CLIENT};
use crate::namespace::test_ca::TestCa;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::cluster("modes::scram_and_md5_log_in", passwords),
        Case::cluster("modes::a_certificate_logs_in", certificate),
        Case::cluster("modes::the_ca_of_the_server_lets_no_client_in", separate),
        Case::cluster("modes::without_tls_a_password_logs_in", plain),
        Case::cluster("modes::a_postgresql_that_demands_certificates_is_named", guarded),
        Case::cluster("modes::every_client_gets_what_the_rules_say", matrix),
        Case::cluster("modes::a_change_turns_no_client_away", changed),
    ]
}

async fn passwords(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.put(&pool).await?;
    ns.put(&pool.named("older").with("/spec/clientAuthMode", json!("md5")))
        .await?;
    for name in [POOL, "older"] {
        ns.ready(name, READY).await?;
        let attempts = [
            Attempt::verify_full(),
            Attempt::wrong_password(),
            Attempt::plain(),
        ];
        let outcomes = ns.psql(name, context.database().await?, &attempts).await?;
        outcomes[0].expect_row()?;
        outcomes[1].expect_refusal("authentication failed")?;
        outcomes[2].expect_refusal("SSL off")?;
    }
    Ok(())
}

async fn certificate(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.apply_and_wait(&pool.with("/spec/clientAuthMode", json!("cert")), READY)
        .await?;
    let attempts = [Attempt::certificate(), Attempt::verify_full()];
    let outcomes = ns.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("certificate")?;
    Ok(())
}

/// The certificate of the server comes from another issuer than those of clients. Health check and exporter find their way.
async fn separate(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.issuer_of("clients", &TestCa::new("clients")?).await?;
    let own = |alias| json!({"alias": alias, "issuerRef": {"kind": "Issuer", "name": "clients"}});
    let pool = pool
        .with("/spec/sslMode", json!("verify-full"))
        .with("/spec/clientAuthMode", json!("cert"))
        .with(
            "/spec/tls/certificates",
            json!([own("client"), own("metrics-exporter")]),
        )
        .with("/spec/monitor", json!({"agent": "prometheus.io/builtin"}));
    ns.apply_and_wait(&pool, READY).await?;
    let intruder = json!({
        "secretName": OTHER_CLIENT,
        "commonName": "postgres",
        "usages": ["digital signature", "client auth"],
        "issuerRef": {"kind": "Issuer", "name": PLATFORM_CA},
    });
    let kind = ("cert-manager.io/v1", "Certificate");
    let intruder = Manifest::of(kind.0, kind.1, OTHER_CLIENT, json!({"spec": intruder}));
    ns.put(&intruder).await?;
    ns.at_rest(OTHER_CLIENT).await?;
    let attempts = [Attempt::certificate(), Attempt::other_certificate()];
    let outcomes = ns.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("unknown ca")?;
    up(&ns, POOL).await
}

async fn plain(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    ns.apply_and_wait(&pool.without_tls(), READY).await?;
    let attempts = [Attempt::plain(), Attempt::encrypted()];
    let outcomes = ns.psql(POOL, context.database().await?, &attempts).await?;
    outcomes[0].expect_plain_row()?;
    outcomes[1].expect_refusal("does not support SSL")?;
    Ok(())
}

/// Pgpool has no certificate to show to PostgreSQL. Which user the pool logs in as decides which line of `pg_hba.conf`
/// fits it.
async fn guarded(context: Context) -> anyhow::Result<()> {
    let (ns, pool) = prepared(&context).await?;
    let database = context.database().await?;
    let place = database.namespace();
    let credentials = fixtures::credentials(place.name(), database.password())
        .named("guarded-auth")
        .with("/stringData/username", json!("guarded"));
    place.put(&credentials).await?;
    let binding = database.app_binding(place.name(), "guarded").await?;
    place
        .put(&binding.clone().with("/spec/secret/name", json!("guarded-auth")))
        .await?;
    ns.put(&pool.with("/spec/postgresRef/name", json!("guarded")))
        .await?;
    let says = Expected(
        ConditionType::Ready,
        Status::False,
        Reason::BackendRejectsPool,
        &[
            "connection requires a valid client certificate",
            "/guarded)",
            "pg_hba.conf",
        ],
    );
    ns.has_condition(POOL, says).await?;

    // The fix: a user whom PostgreSQL lets in without one.
    place.put(&binding).await?;
    ns.ready(POOL, READY).await?;
    Ok(())
}

/// Each mode with each method, and each PostgreSQL in turn. All three for each pair are in `cargo e2e report modes`.
async fn matrix(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    let databases = Databases::beside(ns.client(), context.database().await?.clone()).await?;
    let outcomes = batches::try_all(
        &ns,
        &databases,
        &batches::pools(false),
        &context.workspace.progress,
    )
    .await;
    databases.remove().await?;
    let outcomes = outcomes?;
    let (_, cells, _, unexpected) = counts(&outcomes);
    let faults: Vec<_> = outcomes.iter().flat_map(Outcome::unexpected).collect();
    ensure!(
        cells > 0 && unexpected == 0,
        "{cells} cells, {unexpected} unexpected:\n{}",
        faults.join("\n")
    );
    Ok(())
}

/// The changes that show most. Every kind of change is in `cargo e2e report transitions`.
async fn changed(context: Context) -> anyhow::Result<()> {
    let ns = context.test_namespace().await?;
    let databases = Databases::beside(ns.client(), context.database().await?.clone()).await?;
    let made = transitions::change_all(&ns, &databases, &routes::few()?, &context.workspace.progress).await;
    databases.remove().await?;
    let made = made?;
    let (transitions, cells, connections, unexpected) = counts(&made);
    ensure!(
        transitions > 0 && cells > 0 && connections > 0 && unexpected == 0,
        "{}",
        change_report::rendered(&made)
    );
    Ok(())
}
