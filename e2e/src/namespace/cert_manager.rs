//! cert-manager's kinds, and a stand-in for cert-manager where it does not run: there a damaged Secret stays damaged,
//! while cert-manager would repair it at once.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams};
use local_cluster::manifests::MANAGER;
use local_cluster::wait;
use serde_json::{Value, json};

use super::test_ca::{Pair, TestCa, Wanted};
use super::timeline::holds;
use super::{SOON, TestNamespace};

/// The three certificates of the Pgpool `pool`, by their Secrets.
pub(crate) const SECRETS: [&str; 3] = [
    "pool-server-cert",
    "pool-client-cert",
    "pool-metrics-exporter-cert",
];

/// The Secret with the certificate that the Pgpool `pool` serves.
pub(crate) const SERVER: &str = SECRETS[0];

impl TestNamespace {
    pub(crate) fn certificates(&self) -> Api<DynamicObject> {
        self.cert_manager("Certificate")
    }

    pub(crate) fn issuers(&self) -> Api<DynamicObject> {
        self.cert_manager("Issuer")
    }

    pub(crate) fn cert_manager(&self, kind: &str) -> Api<DynamicObject> {
        self.dynamic("cert-manager.io", "v1", kind)
    }

    pub(crate) async fn issuer_awaited(&self, name: &str) -> anyhow::Result<()> {
        let ready = |issuer: &DynamicObject| {
            ensure!(holds(issuer, "Ready"), "it is not");
            Ok(())
        };
        wait::object(&self.issuers(), name, SOON, "is ready", ready).await?;
        Ok(())
    }

    /// Reports an issuer as ready, as cert-manager does.
    pub(crate) async fn issuer_ready(&self, name: &str) -> anyhow::Result<()> {
        set_ready(&self.issuers(), name, "KeyPairVerified").await
    }

    /// Issues one Certificate, with `change` to what it requests.
    pub(crate) async fn issue(
        &self,
        ca: &TestCa,
        name: &str,
        change: impl FnOnce(&mut Wanted) + Send,
    ) -> anyhow::Result<()> {
        let certificate = self.certificate(name).await?;
        let mut wanted = wanted(&certificate)?;
        change(&mut wanted);
        let pair = ca.issue(&wanted)?;
        self.write(&certificate, &pair, ca.certificate()).await?;
        set_ready(&self.certificates(), name, "Ready").await
    }

    pub(crate) async fn certificate(&self, name: &str) -> anyhow::Result<DynamicObject> {
        wait::object(&self.certificates(), name, SOON, "is created", |_| Ok(())).await
    }

    /// Waits until a Certificate is issued and cert-manager is done with it. Damage done while it still issues may be undone
    /// with the pair that it holds already, or be overlooked with it.
    pub(crate) async fn at_rest(&self, name: &str) -> anyhow::Result<()> {
        let done = |certificate: &DynamicObject| {
            ensure!(
                holds(certificate, "Ready") && !holds(certificate, "Issuing"),
                "not yet"
            );
            Ok(())
        };
        let certificates = self.certificates();
        wait::object(&certificates, name, SOON, "is issued, and at rest", done).await?;
        Ok(())
    }

    /// Writes the Secret of a Certificate as cert-manager does.
    pub(crate) async fn write(
        &self,
        certificate: &DynamicObject,
        pair: &Pair,
        ca: String,
    ) -> anyhow::Result<()> {
        let spec = &certificate.data["spec"];
        let name = spec["secretName"]
            .as_str()
            .context("the Certificate names no Secret")?;
        let template = &spec["secretTemplate"];
        let mut annotations: BTreeMap<String, String> = strings(&template["annotations"]);
        annotations.insert(
            "cert-manager.io/certificate-name".to_owned(),
            certificate.name_any(),
        );
        for (key, value) in [("name", "name"), ("kind", "kind"), ("group", "group")] {
            let value = spec["issuerRef"][value].as_str().unwrap_or_default();
            annotations.insert(format!("cert-manager.io/issuer-{key}"), value.to_owned());
        }
        let parts = [
            ("tls.crt", pair.certificate.clone()),
            ("tls.key", pair.key.clone()),
            ("ca.crt", ca),
        ];
        let data = parts.map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())));
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(strings(&template["labels"])),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(data.into()),
            ..Secret::default()
        };
        let parameters = PatchParams::apply(MANAGER).force();
        self.api::<Secret>()
            .patch(name, &parameters, &Patch::Apply(&secret))
            .await
            .with_context(|| format!("writing Secret {name}"))?;
        Ok(())
    }

    /// A key of a Secret that is PEM.
    pub(crate) async fn secret_text(&self, secret: &str, key: &str) -> anyhow::Result<String> {
        let found = self
            .api::<Secret>()
            .get(secret)
            .await
            .with_context(|| format!("reading Secret {secret}"))?;
        let value = found.data.as_ref().and_then(|data| data.get(key));
        let value = value.with_context(|| format!("Secret {secret} has no {key}"))?;
        Ok(String::from_utf8(value.0.clone())?)
    }
}

pub(crate) fn wanted(certificate: &DynamicObject) -> anyhow::Result<Wanted> {
    let spec = &certificate.data["spec"];
    let list = |key: &str| -> Vec<String> {
        spec[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let usages = list("usages");
    ensure!(
        !usages.is_empty(),
        "Certificate {} names no usages",
        certificate.name_any()
    );
    let addresses = list("ipAddresses")
        .iter()
        .map(|address| address.parse())
        .collect::<Result<_, _>>()?;
    Ok(Wanted {
        common_name: spec["commonName"].as_str().map(str::to_owned),
        dns_names: list("dnsNames"),
        ip_addresses: addresses,
        server: usages.iter().any(|usage| usage == "server auth"),
        client: usages.iter().any(|usage| usage == "client auth"),
        expired: false,
    })
}

/// Sets the condition `Ready` of one of cert-manager's objects.
async fn set_ready(api: &Api<DynamicObject>, name: &str, reason: &str) -> anyhow::Result<()> {
    let status = json!({"status": {"conditions": [
        {"type": "Ready", "status": "True", "reason": reason, "message": "set by a test"},
    ]}});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await
        .with_context(|| format!("reporting {name} as ready"))?;
    Ok(())
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_what_it_is_for() {
        let certificate: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {
                "commonName": "postgres",
                "dnsNames": ["a.b"],
                "ipAddresses": ["127.0.0.1"],
                "usages": ["digital signature", "client auth"],
            },
        }))
        .unwrap();
        let wanted = wanted(&certificate).unwrap();
        assert!(wanted.client && !wanted.server && !wanted.expired);
        assert_eq!(wanted.common_name.as_deref(), Some("postgres"));
        assert_eq!(wanted.dns_names, ["a.b"]);
    }
}
