//! What makes a certificate change: it is asked for anew, its authority is replaced, another issuer is named.

use anyhow::Context as _;
use kube::api::PostParams;
use local_cluster::wait;
use serde_json::{Value, json};

use super::authority::Authority;
use super::fixtures::Manifest;
use super::{SOON, Scene};

impl Scene {
    /// Has a Certificate issued again, as `cmctl renew` does: cert-manager waits for that condition in its status.
    pub async fn reissue(&self, certificate: &str) -> anyhow::Result<()> {
        let what = format!("Certificate {certificate} is asked for again");
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

    /// Puts an issuer that signs in the name of an authority of the harness, and waits until it is ready. When it is
    /// there already, its authority is replaced.
    pub async fn issuer_of(&self, name: &str, authority: &Authority) -> anyhow::Result<()> {
        self.authority_of(name, authority).await?;
        let issuer = Manifest(json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": {"name": name},
            "spec": {"ca": {"secretName": name}},
        }));
        self.put(&issuer).await?;
        self.issuer_awaited(name).await
    }

    /// Writes, or replaces, the authority behind an issuer.
    pub async fn authority_of(&self, issuer: &str, authority: &Authority) -> anyhow::Result<()> {
        let secret = Manifest(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": issuer},
            "type": "kubernetes.io/tls",
            "stringData": {
                "tls.crt": authority.certificate(), "tls.key": authority.key(), "ca.crt": authority.certificate(),
            },
        }));
        self.put(&secret).await?;
        Ok(())
    }
}

/// Two texts in PEM are the same, but for the space around them.
#[must_use]
pub fn same_text(one: &str, other: &str) -> bool {
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
