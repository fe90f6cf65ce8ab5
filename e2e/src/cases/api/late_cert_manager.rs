//! cert-manager is installed after the operators: nothing crashes, Pgpools without TLS are provisioned before, and those
//! with TLS as soon as it runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use kube::api::ListParams;
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::Reason;

use crate::case::shared_fixtures::{OperatorPair, watched};
use crate::case::{Case, Context};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{self, ISSUER, POOL};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::api(
        "late::cert_manager_may_come_after_the_operators",
        cert_manager_may_come_after_the_operators,
    )]
}

/// The kinds are noticed within half a minute, where nothing else keeps the machine busy.
const NOTICED: Duration = Duration::from_mins(2);

async fn cert_manager_may_come_after_the_operators(context: Context) -> anyhow::Result<()> {
    let plane = Arc::new(ControlPlane::start(context.programs()?, CertManager::Absent).await?);
    let pair = OperatorPair::start(&context, Arc::clone(&plane)).await?;
    let ns = TestNamespace::create(&plane.client(), "late").await?;
    ns.backend().await?;
    watched(&pair, &ns, played(&plane, &ns)).await
}

async fn played(plane: &ControlPlane, ns: &TestNamespace) -> anyhow::Result<()> {
    let certificates = ns.certificates();
    ensure!(
        certificates.list(&ListParams::default()).await.is_err(),
        "cert-manager's kinds are there already"
    );

    ns.put(&fixtures::pgpool(ns.name())?).await?;
    let plain = fixtures::pgpool(ns.name())?.named("plain").without("/spec/tls");
    ns.put(&plain.with("/spec/sslMode", json!("disable"))).await?;
    ns.workload("plain").await?;
    ns.certificates_not_ready(
        POOL,
        Reason::CertManagerAbsent,
        &["cert-manager is not installed", "install"],
    )
    .await?;
    ns.no_workload(POOL).await?;

    plane.add_cert_manager_kinds().await?;
    plane.start_cert_manager().await?;
    ns.apply(ISSUER).await?;
    wait::until("the kinds are noticed", NOTICED, async || {
        let found = certificates.get_opt("pool-server-cert").await?;
        ensure!(found.is_some(), "no Certificate yet");
        Ok(())
    })
    .await?;
    ns.certificates_ready(POOL).await?;
    ns.workload(POOL).await?;
    Ok(())
}
