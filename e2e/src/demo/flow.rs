//! Asks ops-manager over its channel where the Pgpool stands, as a person with a certificate may do.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject};
use kube::core::GroupVersionKind;
use local_cluster::wait;
use proto::v1::{Flow, StepState};
use serde_json::json;
use tonic::transport::Channel;

use crate::operators::{self, NAMESPACE};
use crate::scene::channel::{self, Credentials};
use crate::scene::fixtures::{Manifest, POOL};
use crate::scene::{SOON, Scene, pods};

/// The issuer that ops-manager's chart makes for the channel.
const ISSUER: &str = "pgpool-channel";

/// The port of the channel.
const PORT: u16 = 8443;

/// Somebody who may read the channel; introduced by a certificate of the channel's issuer.
pub struct Reader {
    home: Scene,
    name: String,
}

impl Reader {
    /// Asks for a certificate. It is there a moment later.
    pub async fn introduce(scene: &Scene) -> anyhow::Result<Self> {
        let home = Scene::existing(scene.client(), NAMESPACE);
        let name = format!("reader-{}", scene.namespace());
        let certificate = Manifest(json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": name},
            "spec": {
                "secretName": name,
                "commonName": "reader",
                "duration": "1h",
                "usages": ["digital signature", "client auth"],
                "privateKey": {"algorithm": "ECDSA", "size": 256},
                "issuerRef": {"kind": "Issuer", "name": ISSUER},
            },
        }));
        home.put(&certificate)
            .await
            .context("asking for a certificate to read the channel with")?;
        Ok(Self { home, name })
    }

    /// Asks where the Pgpool stands, tells the answer, and takes leave.
    pub async fn tell(&self, scene: &Scene) -> anyhow::Result<()> {
        let told = self.ask(scene).await.map(|flow| tell(&flow));
        self.leave().await?;
        told
    }

    async fn ask(&self, scene: &Scene) -> anyhow::Result<Flow> {
        let credentials = wait::until("the reader has its certificate", SOON, async || {
            Credentials::read(&self.home, &self.name).await
        })
        .await?;
        let channel = self.channel(&credentials).await?;
        let done = |flow: &Flow| match flow.waiting_for.as_str() {
            "" => Ok(()),
            waiting => bail!("it waits for {waiting}"),
        };
        scene.flow(&channel, "all steps are done", done).await
    }

    /// A channel to the replica that leads, which alone knows the answers.
    async fn channel(&self, credentials: &Credentials) -> anyhow::Result<Channel> {
        let service = operators::object("ops-manager");
        let client = self.home.client();
        let pod = pods::leader(client, "ops-manager").await?.name_any();
        let api: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        channel::open(credentials, &format!("{service}.{NAMESPACE}.svc"), move || {
            let (api, pod) = (api.clone(), pod.clone());
            async move {
                let mut forwarder = api.portforward(&pod, &[PORT]).await?;
                forwarder.take_stream(PORT).context("the port is not forwarded")
            }
        })
    }

    async fn leave(&self) -> anyhow::Result<()> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", "Certificate"));
        let api: Api<DynamicObject> = Api::namespaced_with(self.home.client().clone(), NAMESPACE, &kind);
        api.delete(&self.name, &DeleteParams::default()).await?;
        self.home.delete::<Secret>(&self.name).await
    }
}

fn tell(flow: &Flow) {
    println!("ops-manager, asked over its channel with GetFlow for {POOL}:");
    for step in &flow.steps {
        let at = step
            .done_at
            .as_ref()
            .and_then(|at| Timestamp::from_second(at.seconds).ok());
        let at = at.map(|at| at.to_string()).unwrap_or_default();
        let state = match step.state() {
            StepState::Done => "done",
            StepState::NotNeeded => "not needed",
            StepState::Waiting => "waiting",
            StepState::Pending | StepState::Unspecified => "to come",
        };
        println!(
            "{:>4} {state:<8} {at:<20}  {:<12}  {}",
            step.number, step.actor, step.title
        );
    }
    println!();
}
