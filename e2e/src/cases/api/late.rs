//! cert-manager is not there when the operators start, and comes later: nothing crashes, Pgpools without TLS
//! are served meanwhile, and those with TLS as soon as it is there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::wait;
use serde_json::json;
use shared_types::conditions::Reason;

use crate::case::{Case, Context};
use crate::cases::props::{Company, watched};
use crate::scene::Scene;
use crate::scene::fixtures::{self, ISSUER, POOL};

pub fn cases() -> Vec<Case> {
    vec![Case::api(
        "late::cert_manager_may_come_after_the_operators",
        cert_manager_may_come_after_the_operators,
    )]
}

/// The kinds are noticed within half a minute, where nothing else keeps the machine busy.
const NOTICED: Duration = Duration::from_mins(2);

async fn cert_manager_may_come_after_the_operators(context: Context) -> anyhow::Result<()> {
    let plane = Arc::new(ControlPlane::start(context.programs()?, CertManager::Absent).await?);
    let company = Company::start(&context, Arc::clone(&plane)).await?;
    let scene = Scene::create(&plane.client(), "late").await?;
    scene.backend().await?;
    watched(&company, &scene, played(&plane, &scene)).await
}

async fn played(plane: &ControlPlane, scene: &Scene) -> anyhow::Result<()> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", "Certificate"));
    let certificates: Api<DynamicObject> = Api::namespaced_with(plane.client(), scene.namespace(), &kind);
    ensure!(
        certificates.list(&ListParams::default()).await.is_err(),
        "cert-manager's kinds are there already"
    );

    scene.put(&fixtures::pgpool(scene.namespace())?).await?;
    let plain = fixtures::pgpool(scene.namespace())?
        .named("plain")
        .without("/spec/tls");
    scene.put(&plain.with("/spec/sslMode", json!("disable"))).await?;
    scene.workload("plain").await?;
    scene
        .certificates_refused(
            POOL,
            Reason::CertManagerAbsent,
            &["cert-manager is not installed", "install"],
        )
        .await?;
    scene.no_workload(POOL).await?;

    plane.add_cert_manager_kinds().await?;
    plane.start_cert_manager().await?;
    scene.apply(ISSUER).await?;
    wait::until("the kinds are noticed", NOTICED, async || {
        let found = certificates.get_opt("pool-server-cert").await?;
        ensure!(found.is_some(), "no Certificate yet");
        Ok(())
    })
    .await?;
    scene.certificates_ready(POOL).await?;
    scene.workload(POOL).await?;
    Ok(())
}
