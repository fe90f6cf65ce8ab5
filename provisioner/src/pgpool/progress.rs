//! Notes for others how far the pods of a Pgpool have taken over a new certificate: for whoever waits for a place, and for
//! the metrics. Memory only.

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use shared_types::Pgpool;

use super::observe::Observed;
use super::plan::Plan;
use super::rollout::{self, Leaves, Step, Stride};
use crate::context::Context;
use crate::fleet::Admission;
use crate::pgpool::memory::Rotation;

/// Notes it.
pub(super) fn note(
    plan: &Plan,
    observed: &Observed,
    context: &Context,
    key: &ObjectRef<Pgpool>,
    now: Timestamp,
) {
    let rotation = rotation(plan, observed);
    let stride = plan.step.as_ref().map(|step| &step.stride);
    // One that is stuck takes no place from others.
    let rolls = rotation != Rotation::Done && !matches!(stride, Some(Stride::Failed { .. }));
    let asks = matches!(observed.schedule.admission, Some(Admission::Queued { .. }));
    context.fleet.note(key, rolls.then_some(now), asks);
    context
        .memory
        .record_rotation(key, rotation, mismatches(observed), now);
}

fn rotation(plan: &Plan, observed: &Observed) -> Rotation {
    let next = plan.workload.as_ref();
    let Some(next) = next.and_then(|it| rollout::certificates(&it.stateful_set)) else {
        return Rotation::Done;
    };
    let mut mounted = observed.pods.iter().filter_map(|pod| pod.certificates.as_deref());
    if mounted.any(|copy| copy != next) {
        return Rotation::InProgress(next.to_owned());
    }
    match &plan.step {
        Some(Step {
            stride: Stride::Proves { .. } | Stride::Failed { .. },
            ..
        }) => Rotation::Proving,
        _ => Rotation::Done,
    }
}

/// Pods that serve a certificate, and not the one that they mount.
fn mismatches(observed: &Observed) -> usize {
    let leaves = Leaves::of(&observed.live.tls_copies);
    let pods = observed.pods.iter().filter(|pod| pod.ready);
    let asked = pods.filter_map(|pod| Some((pod, observed.standings.get(&pod.uid)?)));
    let wrong = asked.filter(|(pod, standing)| leaves.wrong(pod, standing).is_some());
    wrong.count()
}
