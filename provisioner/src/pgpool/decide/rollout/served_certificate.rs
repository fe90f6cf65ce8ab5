//! Compares the certificate that a pod serves with the one that it should serve. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use tls_bundle::Fingerprint;

use super::super::tls_copy::{certificate, server_ca};
use crate::health::{ExpectedCertificate, PodHealth};
use crate::pgpool::observe::CertificateRevision;
use crate::pgpool::observe::pods::PodFacts;

/// The certificate of the server in each TLS copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaves<'a>(BTreeMap<&'a CertificateRevision, ExpectedCertificate>);

impl<'a> Leaves<'a> {
    pub(crate) fn of(copies: &'a BTreeMap<CertificateRevision, Arc<Secret>>) -> Self {
        let leaf = |copy: &'a Secret| {
            Some(ExpectedCertificate {
                leaf: Fingerprint::of_der(&tls_bundle::leaf_der(certificate(copy)?)?),
                ca: server_ca(copy).map(Arc::from),
            })
        };
        let copies = copies.iter();
        Self(
            copies
                .filter_map(|(revision, copy)| Some((revision, leaf(copy)?)))
                .collect(),
        )
    }

    /// What pods of this revision must serve; `None` when its copy is gone or cannot be read.
    pub(crate) fn expected(&self, revision: &CertificateRevision) -> Option<ExpectedCertificate> {
        self.0.get(revision).cloned()
    }

    /// What is wrong with the certificate that a pod serves. It is compared with the TLS copy that the pod mounts, so that a
    /// pod which still waits to be replaced in a rollout does not count as broken.
    pub(crate) fn wrong(&self, pod: &PodFacts, health: &PodHealth) -> Option<String> {
        let mounted = pod.certificate_revision()?;
        let Some(ExpectedCertificate { leaf: expected, .. }) = self.0.get(mounted) else {
            return Some(format!(
                "mounts Secret {mounted}, which no longer exists: what it serves cannot be verified, and it could not restart"
            ));
        };
        match &health.served {
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
