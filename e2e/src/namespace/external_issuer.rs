//! An issuer outside cert-manager, which signs its requests and publishes no CA, as one of ACME does.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use local_cluster::wait;
use serde_json::{Value, json};

use super::cert_manager::SECRETS;
use super::test_ca::TestCa;
use super::{SOON, TestNamespace};

/// The group of the issuer.
const GROUP: &str = "example.org";

/// The issuer, as a Pgpool names it.
pub(crate) fn reference() -> Value {
    json!({"apiGroup": GROUP, "kind": "Issuer", "name": "public"})
}

impl TestNamespace {
    /// Signs the requests for the certificates of the Pgpool `pool`: the CA and those above it, the root excepted, are
    /// presented with each.
    pub(crate) async fn sign_requests(&self, ca: &TestCa) -> anyhow::Result<()> {
        wait::until("every certificate of the pool is requested, and signed", SOON, async || {
            let requests = self.cert_manager("CertificateRequest");
            let mut signed = 0;
            for request in requests.list(&ListParams::default()).await? {
                if request.data["spec"]["issuerRef"]["group"] != json!(GROUP) {
                    continue;
                }
                signed += 1;
                if request.data["status"]["certificate"].is_string() {
                    continue;
                }
                let asked = request.data["spec"]["request"].as_str().context("it has no request")?;
                let asked = String::from_utf8(BASE64_STANDARD.decode(asked)?)?;
                let chain = ca.sign(&asked)? + &ca.certificate();
                let now = jiff::Timestamp::try_from(std::time::SystemTime::now())?;
                let status = json!({"status": {
                    "certificate": BASE64_STANDARD.encode(chain),
                    "conditions": [{
                        "type": "Ready", "status": "True", "reason": "Issued", "message": "signed by a test",
                        "lastTransitionTime": now.round(jiff::Unit::Second)?.to_string(),
                    }],
                }});
                requests
                    .patch_status(&request.name_any(), &PatchParams::default(), &Patch::Merge(&status))
                    .await?;
            }
            ensure!(signed >= SECRETS.len(), "{signed} of {}", SECRETS.len());
            Ok(())
        })
        .await
    }
}
