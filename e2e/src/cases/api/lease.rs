//! Two replicas: one leads, the other is on standby, and takes over when the first is killed or stops.

use anyhow::ensure;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt as _;
use kube::api::ListParams;
use local_cluster::wait;

use crate::case::{Case, Context};
use crate::namespace::fixtures::{self, POOL};
use crate::namespace::operator_process::with_logs;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::api("lease::a_standby_takes_over", a_standby_takes_over)]
}

/// Seconds without a sign of life after which the leader counts as gone. A leader gives up after half of it, and a machine
/// that does other things as well may keep a renewal waiting for some seconds.
const DURATION: u32 = 16;

async fn a_standby_takes_over(context: Context) -> anyhow::Result<()> {
    let ns = context.namespace_without_operators("lease").await?;
    let plain = context.plan("provisioner", &ns).await?;
    let plan = |identity: &str| plain.clone().with_lease(ns.name(), identity, DURATION);
    let mut first = context.start("first", &ns, plan("first")).await?;
    led_by(&ns, "first").await?;
    // Ready although it does not lead: that is what makes it take over at once.
    let mut second = context.start("second", &ns, plan("second")).await?;
    led_by(&ns, "first").await?;

    ns.put(&pool(&ns, POOL)?).await?;
    with_logs(ns.workload(POOL).await, || first.log_lines(""))?;
    first.kill();
    with_logs(led_by(&ns, "second").await, || second.log_lines(""))?;
    ns.put(&pool(&ns, "later")?).await?;
    with_logs(ns.workload("later").await, || second.log_lines(""))?;

    first.begin()?;
    first.ready().await?;
    led_by(&ns, "second").await?;
    let stopped = second.stop();
    with_logs(stopped, || second.log_lines(""))?;
    with_logs(led_by(&ns, "first").await, || first.log_lines(""))?;
    ns.put(&pool(&ns, "last")?).await?;
    with_logs(ns.workload("last").await, || first.log_lines(""))?;
    Ok(())
}

fn pool(ns: &TestNamespace, name: &str) -> anyhow::Result<fixtures::Manifest> {
    let pool = fixtures::pgpool(ns.name())?.named(name);
    Ok(pool.without_tls())
}

async fn led_by(ns: &TestNamespace, identity: &str) -> anyhow::Result<()> {
    wait::until(&format!("{identity} leads"), SOON, async || {
        let leases = ns.api::<Lease>().list(&ListParams::default()).await?.items;
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
