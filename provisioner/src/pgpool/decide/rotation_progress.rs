//! How far the pods have taken over a new certificate: for the rotation limiter and for the metrics. Pure.

use super::Decision;
use super::rollout::{Action, Leaves};
use crate::pgpool::memory::Rotation;
use crate::pgpool::observe::Observed;
use crate::pgpool::observe::pods::PodFacts;

/// How far the rotation of a `Pgpool` is.
pub(crate) fn rotation(decision: &Decision<'_>, observed: &Observed) -> Rotation {
    let Some(workload) = &decision.workload else {
        return Rotation::Done;
    };
    let Some(next) = &workload.certificates else {
        return Rotation::Done;
    };
    let mut revisions = observed.pods.iter().filter_map(PodFacts::certificate_revision);
    if revisions.any(|revision| revision != next) {
        return Rotation::InProgress(next.to_string());
    }
    match workload.step.action {
        Action::Proving { .. } | Action::Failed { .. } => Rotation::Proving,
        _ => Rotation::Done,
    }
}

/// Whether a rotation takes a place at the limiter. One that is stuck takes none from others.
pub(crate) fn takes_place(decision: &Decision<'_>, rotation: &Rotation) -> bool {
    let stride = decision.workload.as_ref().map(|workload| &workload.step.action);
    *rotation != Rotation::Done && !matches!(stride, Some(Action::Failed { .. }))
}

/// The number of pods that serve a certificate, and not the one that they mount.
pub(crate) fn mismatches(observed: &Observed) -> usize {
    let leaves = Leaves::of(&observed.live.tls_copies);
    let ready = observed.pods.iter().filter(|pod| pod.ready);
    let wrong = ready.filter(|pod| {
        let health = observed.pod_health.get(&pod.uid);
        health.is_some_and(|health| leaves.wrong(pod, health).is_some())
    });
    wrong.count()
}
