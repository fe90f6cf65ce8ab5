//! Proves that the tiers themselves work; when one of these fails, look at the harness first.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::{Node, Pod, Secret, Service};
use kube::api::{Api, LogParams};
use local_cluster::{cluster, manifests, node, wait};

use crate::case::{Case, Context};
use crate::images;
use crate::namespace::SOON;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::api("smoke::a_ca_issuer_issues", a_ca_issuer_issues),
        Case::cluster("smoke::services_have_names", services_have_names),
    ]
}

const CERTIFICATES: &str = "
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: self-signed}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: ca}
spec:
  isCA: true
  commonName: smoke
  secretName: ca
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: self-signed}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: ca}
spec: {ca: {secretName: ca}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: leaf}
spec:
  dnsNames: [leaf.example.com]
  secretName: leaf
  privateKey: {algorithm: ECDSA}
  issuerRef: {name: ca}
";

async fn a_ca_issuer_issues(context: Context) -> anyhow::Result<()> {
    manifests::apply(&context.client, &context.namespace, CERTIFICATES).await?;
    let secrets: Api<Secret> = Api::namespaced(context.client, &context.namespace);
    wait::object(&secrets, "leaf", SOON, "is issued", |secret| {
        let data = secret.data.as_ref().context("it is empty")?;
        for key in ["ca.crt", "tls.crt", "tls.key"] {
            ensure!(
                data.get(key).is_some_and(|value| !value.0.is_empty()),
                "{key} is missing"
            );
        }
        Ok(())
    })
    .await?;
    Ok(())
}

async fn services_have_names(context: Context) -> anyhow::Result<()> {
    let nodes: Api<Node> = Api::all(context.client.clone());
    if matches!(context.target()?, local_cluster::target::Target::Local(_)) {
        cluster::node_ready(&nodes.get(node::NAME).await?)?;
    }
    let manifest = format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: target}}
spec: {{ports: [{{port: 1}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: asker}}
spec:
  restartPolicy: Never
  containers:
  - name: asker
    image: {}
    imagePullPolicy: IfNotPresent
    command: [getent, ahostsv4, target]
",
        images::POSTGRES
    );
    manifests::apply(&context.client, &context.namespace, &manifest).await?;
    let services: Api<Service> = Api::namespaced(context.client.clone(), &context.namespace);
    let service = services.get("target").await?;
    let address = service
        .spec
        .and_then(|spec| spec.cluster_ip)
        .context("the Service has no address")?;

    let pods: Api<Pod> = Api::namespaced(context.client, &context.namespace);
    let end = wait::object(&pods, "asker", Duration::from_mins(1), "ends", |pod| {
        match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
            Some("Succeeded" | "Failed") => Ok(()),
            phase => bail!("it is {phase:?}"),
        }
    })
    .await?;
    let output = pods.logs("asker", &LogParams::default()).await?;
    let phase = end.status.and_then(|status| status.phase);
    ensure!(phase.as_deref() == Some("Succeeded"), "it failed: {output}");
    ensure!(output.starts_with(&address), "{output} instead of {address}");
    Ok(())
}
