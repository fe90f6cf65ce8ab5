//! Two replicas: one leads, the other is ready to, and takes over when the first is killed or leaves.

use anyhow::ensure;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::ListParams;
use local_cluster::wait;
use serde_json::json;

use crate::case::{Case, Context};
use crate::scene::fixtures::{self, POOL};
use crate::scene::operator::explained;
use crate::scene::{SOON, Scene};

pub fn cases() -> Vec<Case> {
    vec![Case::api("lease::a_standby_takes_over", a_standby_takes_over)]
}

/// Seconds without a sign of life after which the leader counts as gone. A leader gives up after half of it, and a machine
/// that does other things as well may keep a renewal waiting for some seconds.
const DURATION: u32 = 16;

async fn a_standby_takes_over(context: Context) -> anyhow::Result<()> {
    let scene = context.quiet_scene("lease").await?;
    let plain = context.plan("provisioner", &scene).await?;
    let plan = |identity: &str| plain.clone().with_lease(scene.namespace(), identity, DURATION);
    let mut first = context.start("first", &scene, plan("first")).await?;
    led_by(&scene, "first").await?;
    // Ready although it does not lead: that is what makes it take over at once.
    let mut second = context.start("second", &scene, plan("second")).await?;
    led_by(&scene, "first").await?;

    scene.put(&pool(&scene, POOL)?).await?;
    explained(scene.workload(POOL).await, || first.said(""))?;
    first.kill();
    explained(led_by(&scene, "second").await, || second.said(""))?;
    scene.put(&pool(&scene, "later")?).await?;
    explained(scene.workload("later").await, || second.said(""))?;

    first.begin()?;
    first.ready().await?;
    led_by(&scene, "second").await?;
    let stopped = second.stop();
    explained(stopped, || second.said(""))?;
    explained(led_by(&scene, "first").await, || first.said(""))?;
    scene.put(&pool(&scene, "last")?).await?;
    explained(scene.workload("last").await, || first.said(""))?;
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
