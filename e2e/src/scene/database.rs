//! A PostgreSQL of the platform team: in a namespace of its own, with certificates of its own authority, and
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
use super::{SOON, Scene};
use crate::workspace::Workspace;

/// Time for PostgreSQL to start: it makes its files first.
const START: Duration = Duration::from_mins(4);

/// The Secret with PostgreSQL's certificate.
const CERTIFICATE: &str = "postgres-server";

/// A running PostgreSQL.
#[derive(Clone)]
pub struct Database {
    scene: Scene,
    password: String,
    tls: bool,
}

impl Database {
    /// Starts one, and returns when it accepts connections and its `AppBinding` is there.
    pub async fn start(client: &Client, prefix: &str) -> anyhow::Result<Self> {
        Self::start_as(client, prefix, password(), true).await
    }

    /// The same, and shows that it takes a moment.
    pub async fn announced(workspace: &Workspace, client: &Client, prefix: &str) -> anyhow::Result<Self> {
        let step = workspace.progress.step("start a PostgreSQL");
        let database = Self::start(client, prefix).await?;
        step.done();
        Ok(database)
    }

    /// Starts another one without TLS, with the same password.
    pub async fn start_plain(&self, client: &Client, prefix: &str) -> anyhow::Result<Self> {
        Self::start_as(client, prefix, self.password.clone(), false).await
    }

    async fn start_as(client: &Client, prefix: &str, password: String, tls: bool) -> anyhow::Result<Self> {
        let database = Self {
            scene: Scene::create(client, prefix).await?,
            password,
            tls,
        };
        database.set_up().await.context("starting PostgreSQL")?;
        Ok(database)
    }

    /// Its namespace, and whatever is done there.
    #[must_use]
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The password of `postgres`.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The authority of its certificate, PEM.
    pub async fn authority(&self) -> anyhow::Result<String> {
        wait::until("PostgreSQL has its certificate", SOON, async || {
            self.scene.secret_text(CERTIFICATE, "ca.crt").await
        })
        .await
    }

    /// An `AppBinding` of any name in any namespace, with its address and its CA.
    pub async fn app_binding(&self, namespace: &str, name: &str) -> anyhow::Result<Manifest> {
        let own = self.scene.namespace();
        let binding = fixtures::app_binding(namespace)
            .named(name)
            .with(
                "/spec/clientConfig/caBundle",
                json!(base64(&self.authority().await?)),
            )
            .with("/spec/clientConfig/service/query", json!("sslmode=verify-ca"));
        Ok(match namespace == own {
            true => binding,
            false => binding.with("/spec/clientConfig/service/namespace", json!(own)),
        })
    }

    /// A Secret with its credentials for pods of another namespace, under the same name.
    #[must_use]
    pub fn credentials(&self, namespace: &str) -> Manifest {
        fixtures::credentials(namespace, &self.password)
    }

    /// Stops it, or starts it again, and waits until that is done.
    pub async fn scale(&self, replicas: i32) -> anyhow::Result<()> {
        let api = self.scene.api::<StatefulSet>();
        let patch = json!({"spec": {"replicas": replicas}});
        let _: Scale = api
            .patch_scale(DATABASE, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        self.settled(replicas).await
    }

    async fn set_up(&self) -> anyhow::Result<()> {
        let namespace = self.scene.namespace();
        self.scene
            .put(&fixtures::credentials(namespace, &self.password))
            .await?;
        if !self.tls {
            self.scene.apply(&fixtures::postgres_plain(namespace)).await?;
            self.scene.put(&fixtures::app_binding(namespace)).await?;
            return self.settled(1).await;
        }
        self.scene.apply(&fixtures::postgres(namespace)).await?;
        let binding = self.app_binding(namespace, DATABASE).await?;
        self.scene.put(&binding).await?;
        self.settled(1).await
    }

    async fn settled(&self, replicas: i32) -> anyhow::Result<()> {
        let what = format!("runs in {replicas} pods");
        wait::object(
            &self.scene.api::<StatefulSet>(),
            DATABASE,
            START,
            &what,
            |found| {
                let status = found.status.clone().unwrap_or_default();
                let (all, ready) = (status.replicas, status.ready_replicas.unwrap_or_default());
                let observed = status.observed_generation == found.metadata.generation;
                ensure!(
                    observed && all == replicas && ready == replicas,
                    "{ready} of {all} are ready"
                );
                Ok(())
            },
        )
        .await?;
        Ok(())
    }
}

/// A password that nobody can guess.
#[must_use]
pub fn password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Text in base64.
#[must_use]
pub fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
