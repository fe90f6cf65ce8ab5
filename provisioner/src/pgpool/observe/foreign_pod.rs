//! A pod that only looks like one of a pool.

use super::certificate_revision::CertificateRevision;

/// A pod with the name of a pod of the pool that the StatefulSet does not control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ForeignPod {
    pub(crate) name: String,
    /// What controls it, in words; `None` while the StatefulSet is not there, and nothing is wrong with the pod yet.
    pub(crate) controller: Option<String>,
    /// The certificates that it mounts. A pod whose StatefulSet was replaced may still need them.
    pub(crate) mounted_certificates: Option<CertificateRevision>,
}
