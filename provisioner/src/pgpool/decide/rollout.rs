//! How many pods have the current revision of the workload. Pure.
//!
//! Read from the pods themselves where possible: they are known earlier than the counters in the status of the workload, and
//! a `Pgpool` is ready no sooner than that is known.

mod next_pod;
mod resize;
mod served_certificate;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;

use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::observe::{CertificateRevision, Observed};

pub(crate) use next_pod::{Action, Step, View, next_pod};
pub(crate) use resize::Resize;
pub(crate) use served_certificate::Leaves;

#[cfg(test)]
mod tests;

/// How far a rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rollout {
    /// There is no workload.
    Absent,
    /// The StatefulSet controller has not observed the last change.
    Unobserved,
    /// There are pods of an earlier revision, or too many pods.
    Replacing {
        /// Pods of the current revision.
        updated: usize,
    },
    /// All existing pods have the current revision; some may be missing or not ready.
    Settled,
}

/// Computes how far the rollout is.
pub(crate) fn rollout(workload: Option<&StatefulSet>, pods: &[PodFacts], replicas: i32) -> Rollout {
    let Some(workload) = workload else {
        return Rollout::Absent;
    };
    let status = workload.status.as_ref();
    let observed_status =
        status.and_then(|status| status.observed_generation) >= workload.metadata.generation;
    let Some(revision) = status
        .and_then(|status| status.update_revision.as_ref())
        .filter(|_| observed_status)
    else {
        return Rollout::Unobserved;
    };
    let outdated = |pod: &&PodFacts| pod.revision.as_ref() != Some(revision);
    if pods.iter().any(|pod| outdated(&pod) || pod.ordinal >= replicas) {
        let updated = pods.iter().filter(|pod| !outdated(pod)).count();
        return Rollout::Replacing { updated };
    }
    Rollout::Settled
}

/// Whether a pod could still be created from an earlier revision: that happens while the StatefulSet controller has not
/// completed the update.
pub(crate) fn earlier_revision_may_return(workload: &StatefulSet) -> bool {
    let Some(status) = &workload.status else {
        return true;
    };
    status.observed_generation < workload.metadata.generation
        || status.update_revision.is_none()
        || status.current_revision != status.update_revision
}

/// TLS copies that no pod mounts and none will.
pub(crate) fn obsolete<'a>(observed: &'a Observed, stateful_set: &StatefulSet) -> Vec<&'a Secret> {
    if earlier_revision_may_return(stateful_set) {
        return Vec::new();
    }
    let mut used: Vec<_> = observed
        .pods
        .iter()
        .filter_map(|pod| pod.certificate_revision().cloned())
        .collect();
    let foreign = observed.foreign_pods.iter();
    used.extend(foreign.filter_map(|pod| pod.mounted_certificates.clone()));
    used.extend(CertificateRevision::of_workload(stateful_set));
    used.extend(observed.init.certificate_revision());
    let copies = observed.live.tls_copies.iter();
    let unused = copies.filter(|(revision, _)| !used.contains(revision));
    unused.map(|(_, copy)| copy.as_ref()).collect()
}
