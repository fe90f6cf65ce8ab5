//! How far the pods have come towards the present workload. Pure.
//!
//! Read from the pods themselves where possible: they are known earlier than the counters in the status of the
//! workload, and a `Pgpool` is ready no sooner than that is known.

mod proof;
mod resize;
mod step;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PodSpec, Secret};
use shared_types::reserved;

use super::observe::Observed;
use super::observe::pods::PodFacts;

pub(crate) use proof::Leaves;
pub(crate) use resize::Resize;
pub(crate) use step::{Step, Stride, View, step};

#[cfg(test)]
mod tests;

/// How far a rollout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rollout {
    /// There is no workload.
    Absent,
    /// The controller of the workload has not taken note of the last change.
    Unnoticed,
    /// Pods of an earlier revision, or too many pods, are left.
    Replacing {
        /// Pods of the present revision.
        updated: usize,
    },
    /// Every pod there is is of the present revision; some may be missing or not ready.
    Settled,
}

/// Judges how far the pods are.
pub(crate) fn rollout(workload: Option<&StatefulSet>, pods: &[PodFacts], replicas: i32) -> Rollout {
    let Some(workload) = workload else {
        return Rollout::Absent;
    };
    let status = workload.status.as_ref();
    let noticed = status.and_then(|status| status.observed_generation) >= workload.metadata.generation;
    let Some(revision) = status
        .and_then(|status| status.update_revision.as_ref())
        .filter(|_| noticed)
    else {
        return Rollout::Unnoticed;
    };
    let outdated = |pod: &&PodFacts| pod.revision.as_ref() != Some(revision);
    if pods.iter().any(|pod| outdated(&pod) || pod.ordinal >= replicas) {
        let updated = pods.iter().filter(|pod| !outdated(pod)).count();
        return Rollout::Replacing { updated };
    }
    Rollout::Settled
}

/// Whether a pod could still be made from an earlier revision: that happens while its controller has not
/// declared the update complete.
pub(crate) fn earlier_revision_may_return(workload: &StatefulSet) -> bool {
    let Some(status) = &workload.status else {
        return true;
    };
    status.observed_generation < workload.metadata.generation
        || status.update_revision.is_none()
        || status.current_revision != status.update_revision
}

/// The Secret with the certificates that pods of this workload mount.
pub(crate) fn certificates(workload: &StatefulSet) -> Option<&str> {
    let pod: &PodSpec = workload.spec.as_ref()?.template.spec.as_ref()?;
    let volume = pod
        .volumes
        .as_ref()?
        .iter()
        .find(|volume| volume.name == reserved::VOLUME_CERTS)?;
    volume.secret.as_ref()?.secret_name.as_deref()
}

/// Copies of certificates that no pod mounts and none will.
pub(crate) fn obsolete<'a>(observed: &'a Observed, stateful_set: &StatefulSet) -> Vec<&'a Secret> {
    if earlier_revision_may_return(stateful_set) {
        return Vec::new();
    }
    let next = certificates(stateful_set);
    let pods = observed.pods.iter().map(|pod| pod.certificates.as_deref());
    let mounted: Vec<_> = pods
        .chain([next, observed.init.certificates()])
        .flatten()
        .collect();
    let used = |name: &str| mounted.contains(&name);
    let live = &observed.live;
    live.tls_copies
        .iter()
        .filter(|(name, _)| !used(name))
        .map(|(_, copy)| copy.as_ref())
        .collect()
}
