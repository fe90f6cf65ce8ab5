//! Requests for operations, as a user makes them, and what becomes of them.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use local_cluster::wait::{self, Hopeless};
use serde_json::{Value, json};
use shared_types::ops_request::OpsPhase;
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus};

use super::TestNamespace;
use super::fixtures::Manifest;
use super::pool::lines;

/// A request of a type for a pool; `rest` is the rest of its spec.
pub(crate) fn request(name: &str, pool: &str, type_: &str, rest: Value) -> Manifest {
    let mut spec = rest;
    spec["type"] = json!(type_);
    spec["databaseRef"] = json!({"name": pool});
    Manifest::of(
        "ops.kubedb.com/v1alpha1",
        "PgpoolOpsRequest",
        name,
        json!({"spec": spec}),
    )
}

impl TestNamespace {
    pub(crate) async fn operation(&self, name: &str) -> anyhow::Result<PgpoolOpsRequest> {
        let api = self.api::<PgpoolOpsRequest>();
        api.get(name)
            .await
            .with_context(|| format!("reading PgpoolOpsRequest {name}"))
    }

    /// Waits until a request is in a phase, with a word in one of its conditions.
    pub(crate) async fn operation_is(
        &self,
        name: &str,
        phase: OpsPhase,
        reason: &str,
        limit: Duration,
    ) -> anyhow::Result<PgpoolOpsRequestStatus> {
        let what = format!("PgpoolOpsRequest {name} is {phase:?} with {reason}");
        wait::until(&what, limit, async || {
            let status = self.operation(name).await?.status.unwrap_or_default();
            let has_reason = status
                .conditions
                .iter()
                .any(|condition| condition.reason == reason);
            if status.phase == Some(phase) && has_reason {
                return Ok(status);
            }
            if status.phase == Some(OpsPhase::Failed) {
                bail!(Hopeless(describe(&status)));
            }
            bail!("{}", describe(&status))
        })
        .await
    }

    /// Makes a request and waits until it is carried out.
    pub(crate) async fn operate(
        &self,
        request: &Manifest,
        limit: Duration,
    ) -> anyhow::Result<PgpoolOpsRequestStatus> {
        self.put(request).await?;
        let name = request.0["metadata"]["name"]
            .as_str()
            .context("a request without a name")?;
        let status = self
            .operation_is(name, OpsPhase::Successful, "Successful", limit)
            .await?;
        let last = status.conditions.last().map(|condition| condition.type_.as_str());
        ensure!(last == Some("Successful"), "{}", describe(&status));
        Ok(status)
    }
}

pub(crate) fn describe(status: &PgpoolOpsRequestStatus) -> String {
    format!("{:?}: {}", status.phase, lines(&status.conditions))
}
