//! A PostgreSQL of the platform team: in a namespace of its own, with certificates of its own CA, and
//! the `AppBinding` by which pools find it.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::autoscaling::v1::Scale;
use kube::Client;
use kube::api::{Patch, PatchParams};
use local_cluster::wait;
use serde_json::json;

use super::fixtures::{self, DATABASE, Manifest};
use super::{SOON, TestNamespace};
use crate::workspace::Workspace;

/// Time for PostgreSQL to start: it makes its files first.
const START: Duration = Duration::from_mins(4);

const CERTIFICATE: &str = "postgres-server";

#[derive(Clone)]
pub(crate) struct Database {
    ns: TestNamespace,
    password: String,
    tls: bool,
}

impl Database {
    /// Starts one, and returns when it accepts connections and its `AppBinding` is there.
    pub(crate) async fn start(client: &Client, prefix: &str) -> anyhow::Result<Self> {
        Self::start_as(client, prefix, password(), true).await
    }

    /// The same, and shows that it takes a moment.
    pub(crate) async fn announced(
        workspace: &Workspace,
        client: &Client,
        prefix: &str,
    ) -> anyhow::Result<Self> {
        let step = workspace.progress.step("start a PostgreSQL");
        let database = Self::start(client, prefix).await?;
        step.done();
        Ok(database)
    }

    /// Starts another one without TLS, with the same password.
    pub(crate) async fn start_plain(&self, client: &Client, prefix: &str) -> anyhow::Result<Self> {
        Self::start_as(client, prefix, self.password.clone(), false).await
    }

    async fn start_as(client: &Client, prefix: &str, password: String, tls: bool) -> anyhow::Result<Self> {
        let database = Self {
            ns: TestNamespace::create(client, prefix).await?,
            password,
            tls,
        };
        database.set_up().await.context("starting PostgreSQL")?;
        Ok(database)
    }

    pub(crate) fn namespace(&self) -> &TestNamespace {
        &self.ns
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// The CA of its certificate, PEM.
    pub(crate) async fn ca(&self) -> anyhow::Result<String> {
        wait::until("PostgreSQL has its certificate", SOON, async || {
            self.ns.secret_text(CERTIFICATE, "ca.crt").await
        })
        .await
    }

    /// An `AppBinding` of any name in any namespace, with its address and its CA.
    pub(crate) async fn app_binding(&self, namespace: &str, name: &str) -> anyhow::Result<Manifest> {
        let own = self.ns.name();
        let binding = fixtures::app_binding(namespace)
            .named(name)
            .with("/spec/clientConfig/caBundle", json!(base64(&self.ca().await?)))
            .with("/spec/clientConfig/service/query", json!("sslmode=verify-ca"));
        if namespace == own {
            return Ok(binding);
        }
        Ok(binding.with("/spec/clientConfig/service/namespace", json!(own)))
    }

    /// A Secret with its credentials for pods of another namespace, under the same name.
    pub(crate) fn credentials(&self, namespace: &str) -> Manifest {
        fixtures::credentials(namespace, &self.password)
    }

    /// Stops it, or starts it again, and waits until that is done.
    pub(crate) async fn scale(&self, replicas: i32) -> anyhow::Result<()> {
        let api = self.ns.api::<StatefulSet>();
        let patch = json!({"spec": {"replicas": replicas}});
        let _: Scale = api
            .patch_scale(DATABASE, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        self.settled(replicas).await
    }

    async fn set_up(&self) -> anyhow::Result<()> {
        let namespace = self.ns.name();
        self.ns
            .put(&fixtures::credentials(namespace, &self.password))
            .await?;
        if !self.tls {
            self.ns.apply(&fixtures::postgres_plain(namespace)).await?;
            self.ns.put(&fixtures::app_binding(namespace)).await?;
            return self.settled(1).await;
        }
        self.ns.apply(&fixtures::postgres(namespace)).await?;
        let binding = self.app_binding(namespace, DATABASE).await?;
        self.ns.put(&binding).await?;
        self.settled(1).await
    }

    async fn settled(&self, replicas: i32) -> anyhow::Result<()> {
        let what = format!("runs in {replicas} pods");
        wait::object(&self.ns.api::<StatefulSet>(), DATABASE, START, &what, |found| {
            let status = found.status.clone().unwrap_or_default();
            let (all, ready) = (status.replicas, status.ready_replicas.unwrap_or_default());
            let observed = status.observed_generation == found.metadata.generation;
            ensure!(
                observed && all == replicas && ready == replicas,
                "{ready} of {all} are ready"
            );
            Ok(())
        })
        .await?;
        Ok(())
    }
}

/// A password that nobody can guess.
pub(crate) fn password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
