//! A pool whose issuer publishes no CA serves clients that have the root certificate from elsewhere.

use serde_json::json;
use shared_types::conditions::{ConditionType, Reason, Status};

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::external_issuer;
use crate::namespace::fixtures::POOL;
use crate::namespace::pool::Expected;
use crate::namespace::psql::Attempt;
use crate::namespace::test_ca::TestCa;

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::cluster(
        "ca_crt::clients_with_the_root_verify_a_pool_whose_issuer_publishes_none",
        without,
    )]
}

async fn without(context: Context) -> anyhow::Result<()> {
    let root = TestCa::new("a public root")?;
    let ca = root.intermediate("a public CA")?;
    let (ns, pool) = prepared(&context).await?;
    let pool = pool
        .with("/spec/tls/issuerRef", external_issuer::reference())
        .with("/spec/sslMode", json!("verify-full"));
    ns.put(&pool).await?;
    ns.sign_requests(&ca).await?;
    ns.ready(POOL, READY).await?;
    let (condition, reason) = (ConditionType::CertificatesReady, Reason::RootNotPublished);
    let warned = Expected(condition, Status::True, reason, &["ca.crt is missing"]);
    ns.has_condition(POOL, warned).await?;

    let database = context.database().await?;
    let attempts = [Attempt::verify_full(), Attempt::wrong_ca(), Attempt::plain()];
    let outcomes = ns
        .psql_trusting(POOL, database, &root.certificate(), &attempts)
        .await?;
    outcomes[0].expect_row()?;
    outcomes[1].expect_refusal("certificate verify failed")?;
    outcomes[2].expect_refusal("SSL off")?;
    // What the issuer publishes is no root.
    let outcomes = ns
        .psql_trusting(POOL, database, &ca.certificate(), &[Attempt::verify_full()])
        .await?;
    outcomes[0].expect_refusal("certificate verify failed")
}
