//! What makes a certificate change: it is issued again, its CA is replaced, another issuer is named.

use anyhow::{Context as _, bail};
use kube::api::PostParams;
use local_cluster::wait;
use serde_json::{Value, json};

use super::fixtures::Manifest;
use super::test_ca::TestCa;
use super::{SOON, TestNamespace};

impl TestNamespace {
    /// Has a Certificate issued again, as `cmctl renew` does: cert-manager waits for that condition in its status.
    pub(crate) async fn reissue(&self, certificate: &str) -> anyhow::Result<()> {
        let what = format!("Certificate {certificate} is issued again");
        wait::until(&what, SOON, async || {
            let api = self.certificates();
            let mut found = api.get(certificate).await?;
            let generation = found.metadata.generation;
            let status = &mut found.data["status"];
            let conditions = status["conditions"]
                .as_array_mut()
                .context("it was never issued")?;
            conditions.retain(|condition| condition["type"] != "Issuing");
            conditions.push(json!({
                "type": "Issuing",
                "status": "True",
                "reason": "ManuallyTriggered",
                "message": "Certificate re-issuance manually triggered",
                "lastTransitionTime": now()?,
                "observedGeneration": generation,
            }));
            // Somebody else may have written meanwhile: then all of it is done again.
            api.replace_status(certificate, &PostParams::default(), &found)
                .await?;
            Ok(())
        })
        .await
    }

    /// Creates an issuer that signs with a test CA, and waits until it is ready. When it is
    /// there already, its CA is replaced.
    pub(crate) async fn issuer_of(&self, name: &str, ca: &TestCa) -> anyhow::Result<()> {
        self.put_ca(name, ca).await?;
        let issuer = Manifest(json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": {"name": name},
            "spec": {"ca": {"secretName": name}},
        }));
        self.put(&issuer).await?;
        self.issuer_awaited(name).await
    }

    /// Writes, or replaces, the CA behind an issuer.
    pub(crate) async fn put_ca(&self, issuer: &str, ca: &TestCa) -> anyhow::Result<()> {
        self.put_chain(issuer, &[ca]).await
    }

    /// As [`Self::put_ca`], for the CA that is the first of these. The issuer publishes the last.
    pub(crate) async fn put_chain(&self, issuer: &str, chain: &[&TestCa]) -> anyhow::Result<()> {
        let ([ca, ..], [.., root]) = (chain, chain) else {
            bail!("an issuer needs a CA");
        };
        let certificates: String = chain.iter().map(|ca| ca.certificate()).collect();
        let secret = Manifest(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": issuer},
            "type": "kubernetes.io/tls",
            "stringData": {
                "tls.crt": certificates, "tls.key": ca.key(), "ca.crt": root.certificate(),
            },
        }));
        self.put(&secret).await?;
        Ok(())
    }
}

/// Two texts in PEM are the same, but for the space around them.
pub(crate) fn same_text(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

fn now() -> anyhow::Result<Value> {
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now())?;
    Ok(json!(
        now.round(jiff::Unit::Second)
            .context("rounding a time")?
            .to_string()
    ))
}
