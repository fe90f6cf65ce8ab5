//! Requests where no pod runs: they wait, begin, are skipped and rejected as they should, and cause no writes once that is
//! reported.

use anyhow::{Context as _, ensure};
use serde_json::json;
use shared_types::PgpoolOpsRequestStatus;
use shared_types::ops_request::OpsPhase;

use super::audited_writes::Writes;
use crate::case::shared_fixtures::watched;
use crate::case::{Case, Context};
use crate::namespace::fixtures::{self, Manifest, POOL};
use crate::namespace::ops_request::request;
use crate::namespace::{SOON, TestNamespace};

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::api(
        "operations::one_at_a_time_and_every_reason_is_reported",
        one_at_a_time,
    )]
}

async fn one_at_a_time(context: Context) -> anyhow::Result<()> {
    let pair = context.operators().await?;
    let ns = context.test_namespace().await?;
    ns.backend().await?;
    let writes = Writes::of(pair, &ns);
    watched(pair, &ns, played(&ns, &writes)).await
}

async fn played(ns: &TestNamespace, writes: &Writes) -> anyhow::Result<()> {
    let three = json!({"horizontalScaling": {"node": 3}});
    let scale = request("scale", POOL, "HorizontalScaling", three);
    reported(ns, &scale, "scale", OpsPhase::Pending, "PgpoolNotFound").await?;
    let pool = fixtures::plain_pgpool(ns.name())?;
    ns.put(&pool).await?;
    // There are no pods, so it never is ready. Others pass.
    ns.operation_is("scale", OpsPhase::Pending, "PgpoolNotReady", SOON)
        .await?;
    let restart = |name| request(name, POOL, "Restart", json!({"apply": "Always"}));
    let first = restart("first");
    let begun = reported(ns, &first, "first", OpsPhase::Progressing, "WaitingForPgpool").await?;
    let pgpool = ns.pgpool(POOL).await?;
    ensure!(
        begun.database_generation == pgpool.metadata.generation,
        "{begun:?}"
    );
    ensure!(pgpool.spec.replicas() == 1, "it was scaled out of its turn");

    // One runs: those that could are queued, the older of two is skipped, and the impossible ones fail at once.
    reported(ns, &restart("second"), "second", OpsPhase::Pending, "Queued").await?;
    // Of two that are made in the same second the smallest name counts as the newer one.
    reported(ns, &restart("a-third"), "a-third", OpsPhase::Pending, "Queued").await?;
    ns.operation_is("second", OpsPhase::Skipped, "Superseded", SOON)
        .await?;
    refusals(ns, pool).await?;

    writes.over().await?;
    writes.none().await
}

/// What cannot be, each with its reason, however long the queue is.
async fn refusals(ns: &TestNamespace, pool: Manifest) -> anyhow::Result<()> {
    // For the last two, and early: a request runs out of time as well where its Pgpool is not noticed yet.
    ns.put(&pool.named("other")).await?;
    let version = json!({"apply": "Always", "updateVersion": {"targetVersion": "4.99.0"}});
    let unknown = request("unknown", POOL, "UpdateVersion", version);
    refused(ns, &unknown, "unknown", "VersionNotFound").await?;
    let rotate = json!({"tls": {"rotateCertificates": true}});
    let rotate = request("rotate", POOL, "ReconfigureTLS", rotate);
    refused(ns, &rotate, "rotate", "NoCertificates").await?;
    let secret = json!({"configuration": {"configSecret": {"name": "nowhere"}}});
    let settings = request("settings", POOL, "Reconfigure", secret);
    refused(ns, &settings, "settings", "SecretNotFound").await?;

    // Long enough for the change itself, whatever the machine does beside.
    let short = json!({"apply": "Always", "timeout": "4s", "horizontalScaling": {"node": 3}});
    let short = request("short", "other", "HorizontalScaling", short);
    refused(ns, &short, "short", "TimedOut").await?;
    ensure!(
        ns.pgpool("other").await?.spec.replicas() == 3,
        "what was changed stays"
    );

    // The rules of the Pgpool hold for requests too: certificates of no issuer.
    let nobody =
        json!({"apply": "Always", "tls": {"certificates": [{"alias": "server"}], "sslMode": "require"}});
    let nobody = request("nobody", "other", "ReconfigureTLS", nobody);
    refused(ns, &nobody, "nobody", "ChangeRejected").await
}

async fn reported(
    ns: &TestNamespace,
    request: &Manifest,
    name: &str,
    phase: OpsPhase,
    reason: &str,
) -> anyhow::Result<PgpoolOpsRequestStatus> {
    ns.put(request).await?;
    ns.operation_is(name, phase, reason, SOON)
        .await
        .with_context(|| name.to_owned())
}

async fn refused(ns: &TestNamespace, request: &Manifest, name: &str, reason: &str) -> anyhow::Result<()> {
    ns.put(request).await?;
    let refused = local_cluster::wait::until(&format!("{name} is refused"), SOON, async || {
        let status = ns.operation(name).await?.status.unwrap_or_default();
        ensure!(
            status.phase == Some(OpsPhase::Failed),
            "{}",
            crate::namespace::ops_request::describe(&status)
        );
        Ok(status)
    })
    .await?;
    let last = refused.conditions.last().context("no conditions")?;
    ensure!(last.type_ == "Failed" && last.reason == reason, "{last:?}");
    let stalled = refused
        .conditions
        .iter()
        .any(|it| it.type_ == "Stalled" && it.status == "True");
    ensure!(stalled, "tools do not see that it failed");
    Ok(())
}
