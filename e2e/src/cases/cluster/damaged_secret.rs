//! A certificate Secret is damaged while the pool runs. cert-manager is halted meanwhile, or it would repair the
//! Secret at once.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams};
use local_cluster::cluster::Cluster;
use local_cluster::target::Target;
use local_cluster::wait;
use serde_json::json;
use shared_types::Pgpool;
use shared_types::conditions::Reason;

use super::verified_clients::{READY, prepared};
use crate::case::{Case, Context};
use crate::namespace::cert_manager::SERVER;
use crate::namespace::fixtures::POOL;
use crate::namespace::pool::{self, is_ready, issued};
use crate::namespace::psql::Attempt;
use crate::namespace::test_ca::{TestCa, Wanted};
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::cluster("damage::a_damaged_secret_reaches_no_pod", damaged).alone()]
}

/// How long it is looked whether a pod changes.
const WATCHED: Duration = Duration::from_secs(4);

async fn damaged(context: Context) -> anyhow::Result<()> {
    let Target::Local(cluster) = context.target()? else {
        context
            .workspace
            .progress
            .line("left out: cert-manager of this cluster is not ours to halt");
        return Ok(());
    };
    let (ns, pool) = prepared(&context).await?;
    let ready = ns
        .apply_and_wait(&pool.with("/spec/replicas", json!(2)), READY)
        .await?;
    cluster.stop_cert_manager()?;
    let played = played(&context, cluster, &ns, &ready).await;
    cluster.start_cert_manager()?;
    played
}

async fn played(
    context: &Context,
    cluster: &Cluster,
    ns: &TestNamespace,
    ready: &Pgpool,
) -> anyhow::Result<()> {
    let before = ns.identities(POOL).await?;
    let foreign = TestCa::new("foreign")?.issue(&Wanted::default())?;
    let key = json!({"data": {"tls.key": ByteString(foreign.key.into_bytes())}});
    let secrets = ns.api::<Secret>();
    secrets
        .patch(SERVER, &PatchParams::default(), &Patch::Merge(&key))
        .await
        .context("damaging the Secret")?;
    let place = format!("{}/{SERVER}", ns.name());
    ns.certificates_not_ready(POOL, Reason::KeyMismatch, &["Secret", &place, "tls.key"])
        .await?;
    wait::throughout("the pods stay as they are", WATCHED, async || {
        before.same(&ns.identities(POOL).await?)
    })
    .await?;

    // A pod that starts now gets the pair that was good, for it mounts a copy of that.
    let pods = ns.api::<Pod>();
    let victim = "pool-0";
    let old = pods.get(victim).await?.uid();
    pods.delete(victim, &DeleteParams::default()).await?;
    wait::until(
        "the pod is there again and serves what it served",
        SOON,
        async || {
            ensure!(pods.get(victim).await?.uid() != old, "the old pod is still there");
            let now = served(&ns.pgpool(POOL).await?);
            ensure!(now == served(ready), "{now:?}");
            Ok(())
        },
    )
    .await?;
    ns.gets_row(POOL, context.database().await?, Attempt::verify_full())
        .await?;

    cluster.start_cert_manager()?;
    ns.certificates_ready(POOL)
        .await
        .context("after cert-manager has repaired the Secret")?;
    // It issued a new pair, which the pods take over one by one.
    wait::until("both pods serve the new certificate", READY, async || {
        let pgpool = ns.pgpool(POOL).await?;
        let issued = issued(&pgpool)?;
        ensure!(issued != pool::issued(ready)?, "no new certificate yet");
        let pods = served(&pgpool);
        let new = pods
            .iter()
            .all(|(_, ready, served)| *ready && served.as_ref() == Some(&issued));
        ensure!(
            new && pods.len() == 2 && is_ready(&pgpool),
            "{pods:?} instead of {issued}"
        );
        Ok(())
    })
    .await
}

/// What each pod serves, and whether that is well.
fn served(pgpool: &Pgpool) -> Vec<(String, bool, Option<String>)> {
    let pods = pgpool.status.iter().flat_map(|status| &status.pods);
    pods.map(|pod| (pod.name.clone(), pod.ready, pod.served_fingerprint.clone()))
        .collect()
}
