//! Reads the ten steps of a Pgpool from ops-manager over its channel, as a person with a certificate may do.

use std::time::Instant;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};
use proto::v1::flow_service_client::FlowServiceClient;
use proto::v1::{StepState, WatchFlowRequest};
use serde_json::json;
use tonic::transport::Channel;

use crate::namespace::channel::{self, Credentials};
use crate::namespace::fixtures::{Manifest, POOL};
use crate::namespace::{SOON, TestNamespace, pods};
use crate::operators::{self, NAMESPACE};
use local_cluster::wait;

/// The issuer that ops-manager's chart creates for the channel.
const ISSUER: &str = "pgpool-channel";

const PORT: u16 = 8443;

/// Someone who may read the channel, with a certificate of the channel's issuer.
pub(crate) struct Reader {
    home: TestNamespace,
    name: String,
    channel: Channel,
}

impl Reader {
    /// Requests the certificate, waits for it, and opens the channel.
    pub(crate) async fn create(ns: &TestNamespace) -> anyhow::Result<Self> {
        let home = TestNamespace::existing(ns.client(), NAMESPACE);
        let name = format!("reader-{}", ns.name());
        let spec = json!({
            "secretName": name,
            "commonName": "reader",
            "dnsNames": [operators::channel_reader()],
            "duration": "1h",
            "usages": ["digital signature", "client auth"],
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": {"kind": "Issuer", "name": ISSUER},
        });
        let certificate = Manifest::of("cert-manager.io/v1", "Certificate", &name, json!({"spec": spec}));
        home.put(&certificate)
            .await
            .context("requesting a certificate to read the channel with")?;
        let credentials = wait::until("the reader has its certificate", SOON, async || {
            Credentials::read(&home, &name).await
        })
        .await?;
        let channel = open(&home, &credentials).await?;
        Ok(Self { home, name, channel })
    }

    /// Prints each step as soon as it is done, until all are.
    pub(crate) async fn print_steps(&self, ns: &TestNamespace, begin: Instant) -> anyhow::Result<()> {
        let request = WatchFlowRequest {
            namespace: ns.name().to_owned(),
            name: POOL.to_owned(),
        };
        // ops-manager may learn of the Pgpool a moment later.
        let (mut answer, mut answers) = wait::until("ops-manager knows the Pgpool", SOON, async || {
            let mut client = FlowServiceClient::new(self.channel.clone());
            let mut answers = client.watch_flow(request.clone()).await?.into_inner();
            Ok((answers.message().await?, answers))
        })
        .await?;
        let mut printed = Vec::new();
        while let Some(flow) = answer.and_then(|answer| answer.flow) {
            for step in flow.steps {
                let done = matches!(step.state(), StepState::Done | StepState::NotNeeded);
                if done && !printed.contains(&step.number) {
                    printed.push(step.number);
                    let after = begin.elapsed().as_secs_f64();
                    let (number, actor, title, detail) = (step.number, step.actor, step.title, step.detail);
                    println!("{number:>4} {after:>6.2} s  {actor:<12}  {title}: {detail}");
                }
            }
            if flow.waiting_for.is_empty() {
                return Ok(());
            }
            answer = answers.message().await?;
        }
        bail!("ops-manager ended the answer")
    }

    pub(crate) async fn delete(&self) -> anyhow::Result<()> {
        let certificates = self.home.certificates();
        certificates.delete(&self.name, &DeleteParams::default()).await?;
        self.home.delete::<Secret>(&self.name).await
    }
}

/// Opens a channel to the replica that leads, which alone knows the answers.
async fn open(home: &TestNamespace, credentials: &Credentials) -> anyhow::Result<Channel> {
    let service = operators::object("ops-manager");
    let pod = pods::leader(home.client(), "ops-manager").await?.name_any();
    let api = home.api::<Pod>();
    channel::open(credentials, &format!("{service}.{NAMESPACE}.svc"), move || {
        let (api, pod): (Api<Pod>, _) = (api.clone(), pod.clone());
        async move {
            let mut forwarder = api.portforward(&pod, &[PORT]).await?;
            forwarder.take_stream(PORT).context("the port is not forwarded")
        }
    })
}
