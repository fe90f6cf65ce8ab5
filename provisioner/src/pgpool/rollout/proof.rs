//! What a pod serves, held against what it should serve. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use tls_bundle::Fingerprint;

use crate::health::PodHealth;
use crate::pgpool::observe::pods::PodFacts;

/// The leaf in each copy of the certificates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaves<'a>(BTreeMap<&'a str, Fingerprint>);

impl<'a> Leaves<'a> {
    /// Reads them.
    pub(crate) fn of(copies: &'a BTreeMap<String, Arc<Secret>>) -> Self {
        let leaf = |copy: &'a Secret| {
            let pem = copy.data.as_ref()?.get("tls.crt")?;
            Some(Fingerprint::of_der(&tls_bundle::leaf_der(&pem.0)?))
        };
        let copies = copies.iter();
        Self(
            copies
                .filter_map(|(name, copy)| Some((name.as_str(), leaf(copy)?)))
                .collect(),
        )
    }

    /// What is wrong with the certificate that a pod serves. A pod is measured by the copy that it mounts, so that
    /// one which still waits for its turn in a rollout is not called broken.
    pub(crate) fn wrong(&self, pod: &PodFacts, standing: &PodHealth) -> Option<String> {
        let mounted = pod.certificates.as_deref()?;
        let Some(expected) = self.0.get(mounted) else {
            return Some(format!(
                "mounts Secret {mounted}, which is gone: what it serves cannot be proven, and it could not start again"
            ));
        };
        match &standing.served {
            Some(served) if served.fingerprint == *expected => None,
            Some(served) => Some(format!(
                "serves the certificate {} instead of {expected} from Secret {mounted}; delete the pod",
                served.fingerprint
            )),
            None => Some(format!(
                "serves no certificate although it mounts Secret {mounted}; see its log"
            )),
        }
    }
}
