//! Which certificates a pod has: a revision. Today it is the name of the immutable TLS copy that the pod mounts, which only
//! this file knows. Pure.

use std::fmt;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PodSpec, Secret};
use kube::ResourceExt;
use shared_types::reserved::VOLUME_CERTS;

/// Identifies the certificates of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CertificateRevision(String);

impl CertificateRevision {
    pub(crate) fn of_copy(tls_copy: &Secret) -> Self {
        Self(tls_copy.name_any())
    }

    /// The revision of a pod; `None` without certificates.
    pub(crate) fn of_pod(pod: &PodSpec) -> Option<Self> {
        let mut volumes = pod.volumes.iter().flatten();
        let volume = volumes.find(|volume| volume.name == VOLUME_CERTS)?;
        volume.secret.as_ref()?.secret_name.clone().map(Self)
    }

    /// The revision of the pods that a workload creates.
    pub(crate) fn of_workload(workload: &StatefulSet) -> Option<Self> {
        Self::of_pod(workload.spec.as_ref()?.template.spec.as_ref()?)
    }

    /// The Secret that a pod of this revision mounts.
    pub(crate) fn secret_name(&self) -> &str {
        &self.0
    }
}

impl From<String> for CertificateRevision {
    fn from(secret_name: String) -> Self {
        Self(secret_name)
    }
}

impl fmt::Display for CertificateRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
