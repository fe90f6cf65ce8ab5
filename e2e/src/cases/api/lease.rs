//! Two replicas: one leads, the other is ready to, and takes over when the first is killed or leaves.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;

use crate::cases::{Case, Context};
use crate::scene::fixtures::{self, POOL};
use crate::scene::operator::{Operator, Plan};
use crate::scene::{SOON, Scene};
use crate::wait;

pub fn cases() -> Vec<Case> {
    vec![Case::api("lease::a_standby_takes_over", |context| {
        Box::pin(a_standby_takes_over(context))
    })]
}

/// Seconds without a sign of life after which the leader counts as gone.
const DURATION: u32 = 4;

async fn a_standby_takes_over(context: Context) -> anyhow::Result<()> {
    let plane = context.quiet().await?;
    let scene = Scene::create(&plane.client(), "lease").await?;
    scene.backend().await?;
    let program = context.operator("provisioner")?;
    let plan = |identity: &str| {
        Plan::new(&program, plane.kubeconfig())
            .within(scene.namespace())
            .with_lease(scene.namespace(), identity, DURATION)
    };
    let name = |identity: &str| format!("{}-{identity}", scene.namespace());
    let mut first = Operator::start(plane, &name("first"), plan("first")).await?;
    led_by(&scene, "first").await?;
    // Ready although it does not lead: that is what makes it take over at once.
    let mut second = Operator::start(plane, &name("second"), plan("second")).await?;
    led_by(&scene, "first").await?;

    scene.put(&pool(&scene, POOL)?).await?;
    scene.workload(POOL).await.with_context(|| first.said(""))?;
    first.kill();
    led_by(&scene, "second").await.with_context(|| second.said(""))?;
    scene.put(&pool(&scene, "later")?).await?;
    scene.workload("later").await.with_context(|| second.said(""))?;

    first.begin()?;
    first.ready().await?;
    led_by(&scene, "second").await?;
    let stopped = second.stop();
    stopped.with_context(|| second.said(""))?;
    led_by(&scene, "first").await.with_context(|| first.said(""))?;
    scene.put(&pool(&scene, "last")?).await?;
    scene.workload("last").await.with_context(|| first.said(""))?;
    Ok(())
}

fn pool(scene: &Scene, name: &str) -> anyhow::Result<fixtures::Manifest> {
    let pool = fixtures::pgpool(scene.namespace())?.named(name);
    Ok(pool.without("/spec/tls").with("/spec/sslMode", json!("disable")))
}

async fn led_by(scene: &Scene, identity: &str) -> anyhow::Result<()> {
    wait::until(&format!("{identity} leads"), SOON, async || {
        let leases = scene.api::<Lease>().list(&ListParams::default()).await?.items;
        let [lease] = leases.as_slice() else {
            anyhow::bail!(
                "{:?} instead of one lease",
                leases.iter().map(Lease::name_any).collect::<Vec<_>>()
            )
        };
        let holder = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.holder_identity.as_deref());
        ensure!(holder == Some(identity), "{holder:?} leads");
        Ok(())
    })
    .await
}
