//! The memory of both operators with many pools with TLS. Needs no cluster: they run beside a control plane without nodes, and
//! a stand-in for cert-manager issues what they request, with RSA keys of 2048 bits as cert-manager does by default.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::ListParams;
use local_cluster::control_plane::{CertManager, ControlPlane};
use local_cluster::wait;
use serde_json::json;
use shared_types::Pgpool;
use shared_types::conditions::{self, ConditionType};
use shared_types::limits;

use super::figures::Figure;
use crate::hostile::{self, Installation, Supervised};
use crate::namespace::TestNamespace;
use crate::namespace::fixtures::{self, Manifest, PLATFORM_CA};
use crate::namespace::test_ca::TestCa;
use crate::workspace::Workspace;

/// Requests at a time.
const CONCURRENCY: usize = 16;

/// For everything, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(30);

/// Nothing happens any more, and what is free went back to the system.
const REST: Duration = Duration::from_secs(30);

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Creates the pools, all in one namespace, and restarts both operators with them in place.
pub(super) fn measure(workspace: &Workspace, pools: usize) -> anyhow::Result<Vec<Figure>> {
    let programs = workspace.control_plane()?;
    let operators = workspace.compile_operators(workspace.profile)?;
    let installation = Installation {
        operators: operators.into_iter().collect(),
        charts: workspace.root.join("charts"),
        log_filter: "info".to_owned(),
        patience: PATIENCE,
        processor: 0,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let plane = Arc::new(ControlPlane::start(&programs, CertManager::Stopped).await?);
        let (admin, helm) = (plane.client(), programs.path("helm")?);
        hostile::install(&admin, helm, &installation.charts).await?;
        let ns = TestNamespace::create(&admin, "many").await?;
        let mut operators = hostile::start_operators(&plane, helm, &installation).await?;
        let start = Instant::now();
        create(&ns, pools).await?;
        workspace.progress.line(format_args!(
            "{pools} pools have a workload after {:.0} s",
            start.elapsed().as_secs_f64()
        ));
        let mut figures = vec![kept(&ns, pools).await?];
        figures.extend(used(&mut operators, &format!("while {pools} pools are created")).await?);
        for operator in &mut operators {
            operator.restart()?;
        }
        for operator in &mut operators {
            operator.ready(PATIENCE).await?;
        }
        figures.extend(used(&mut operators, "after a restart with all of them").await?);
        Ok(figures)
    })
}

/// Creates pools with TLS, and issues their certificates, until each has a workload.
async fn create(ns: &TestNamespace, pools: usize) -> anyhow::Result<()> {
    let ca = TestCa::rsa(PLATFORM_CA)?;
    ns.put_ca(PLATFORM_CA, &ca).await?;
    let spec = json!({"spec": {"ca": {"secretName": PLATFORM_CA}}});
    ns.put(&Manifest::of("cert-manager.io/v1", "Issuer", PLATFORM_CA, spec))
        .await?;
    ns.issuer_ready(PLATFORM_CA).await?;
    ns.put(&fixtures::credentials(ns.name(), "correct-horse-battery"))
        .await?;
    ns.put(&fixtures::app_binding(ns.name())).await?;
    let pgpool = fixtures::pgpool(ns.name())?;
    let created = stream::iter(0..pools)
        .map(|number| pgpool.clone().named(&format!("pool-{number:04}")))
        .map(async |pgpool| ns.put(&pgpool).await.map(drop))
        .buffer_unordered(CONCURRENCY)
        .try_collect::<Vec<_>>();
    tokio::try_join!(created, issue(ns, &ca, 3 * pools))?;
    wait::until(
        "every pool has its certificates and a workload",
        PATIENCE,
        async || {
            let workloads = ns
                .api::<StatefulSet>()
                .list_metadata(&ListParams::default())
                .await?;
            ensure!(
                workloads.items.len() >= pools,
                "{} workloads",
                workloads.items.len()
            );
            let list = ns.api::<Pgpool>().list(&ListParams::default()).await?;
            let ready = list.items.iter().filter(|pgpool| {
                let conditions = pgpool.status.iter().flat_map(|status| &status.conditions);
                let conditions: Vec<_> = conditions.cloned().collect();
                conditions::is_true(&conditions, ConditionType::CertificatesReady)
            });
            let ready = ready.count();
            ensure!(ready == pools, "{ready} pools have certificates");
            Ok(())
        },
    )
    .await
}

/// Issues Certificates as they appear, until so many are issued.
async fn issue(ns: &TestNamespace, ca: &TestCa, count: usize) -> anyhow::Result<Vec<()>> {
    let mut issued = HashSet::new();
    let start = Instant::now();
    while issued.len() < count {
        ensure!(start.elapsed() < PATIENCE, "only {} Certificates", issued.len());
        let requested = ns.certificates().list_metadata(&ListParams::default()).await?;
        let names = requested.items.iter().map(kube::ResourceExt::name_any);
        let new: Vec<_> = names.filter(|name| !issued.contains(name)).collect();
        if new.is_empty() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        stream::iter(&new)
            .map(async |name: &String| ns.issue(ca, name, |_| {}).await)
            .buffer_unordered(CONCURRENCY)
            .try_collect::<Vec<_>>()
            .await?;
        issued.extend(new);
    }
    Ok(Vec::new())
}

/// What the Secrets count in the operators' caches, at most: see `CACHED_NAMESPACE_BYTES`.
async fn kept(ns: &TestNamespace, pools: usize) -> anyhow::Result<Figure> {
    let mut bytes = 0;
    let mut parameters = ListParams::default().limit(500);
    loop {
        let page = ns.api::<Secret>().list(&parameters).await?;
        for mut secret in page.items {
            secret.managed_fields_mut().clear();
            bytes += serde_json::to_vec(&secret)?.len();
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => break,
        }
    }
    let title = format!("Secrets of {pools} pools in one namespace, as JSON");
    Ok(Figure::new(title, Some(mebibytes(bytes as u64)), "MiB")
        .at_most(mebibytes(limits::CACHED_NAMESPACE_BYTES as u64)))
}

/// Peak and rest of both. The goal leaves as much again below the limit of the chart.
async fn used(operators: &mut [Supervised], when: &str) -> anyhow::Result<Vec<Figure>> {
    tokio::time::sleep(REST).await;
    let mut figures = Vec::new();
    for operator in operators {
        operator.check()?;
        let goal = mebibytes(operator.memory_limit) / 2.0;
        let resting = operator.own_memory().context("it has ended")?;
        let name = operator.name;
        for (what, bytes) in [("peak", operator.peak()), ("at rest", resting)] {
            let title = format!("{name}: memory, {what} {when}");
            figures.push(Figure::new(title, Some(mebibytes(bytes)), "MiB").at_most(goal));
        }
    }
    Ok(figures)
}

#[expect(clippy::cast_precision_loss, reason = "far fewer bytes than 2^53")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MEBIBYTE
}
