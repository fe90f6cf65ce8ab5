//! A certificate that a `Pgpool` needs. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use shared_types::Alias;
use tls_bundle::{Fingerprint, Required};

use super::lookup::Lookup;

/// A certificate that a `Pgpool` needs, and its Secret.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) alias: Alias,
    pub(crate) namespace: String,
    pub(crate) secret_name: String,
    pub(crate) secret: Lookup<Arc<Secret>>,
    /// What the certificate must satisfy in each of its roles.
    pub(crate) required: Vec<Required>,
}

impl Certificate {
    /// The fingerprint of the leaf certificate in the Secret; `None` inside when it cannot be read.
    pub(crate) fn leaf(&self) -> Lookup<Option<Fingerprint>> {
        self.secret.clone().map(|secret| {
            let pem = secret.data.as_ref().and_then(|data| data.get("tls.crt"))?;
            Some(Fingerprint::of_der(&tls_bundle::leaf_der(&pem.0)?))
        })
    }

    /// For messages.
    pub(crate) fn title(&self) -> String {
        format!(
            "Secret {}/{} ({} certificate)",
            self.namespace,
            self.secret_name,
            self.alias.as_str()
        )
    }
}
