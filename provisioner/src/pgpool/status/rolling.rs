//! How the replacing of pods is told.

use shared_types::Pgpool;
use shared_types::conditions::Reason;

use super::work::Work;
use crate::pgpool::apply::Done;
use crate::pgpool::observe::Observed;
use crate::pgpool::rollout::{self, Resize, Step, Stride};

/// What there is to say of a step; `None` when no pod is being replaced, or nobody has begun.
pub(super) fn rolling(pgpool: &Pgpool, observed: &Observed, applied: &Done, word: &str) -> Option<Work> {
    let step = applied.step.as_ref()?;
    let done = done(step, pgpool, observed, applied);
    let waits = |what: String, after| Work::Waits {
        reason: Reason::RollingOut,
        message: format!("{done}; {what}{word}"),
        after,
    };
    Some(match &step.stride {
        Stride::Level | Stride::Unnoticed => return None,
        Stride::Replaces { pod } => waits(format!("pod {pod} is being replaced"), None),
        Stride::Resizes { pod, resize, .. } => waits(resizing(pod, resize), None),
        Stride::Proves { pod, why, left } => waits(format!("waits for pod {pod}: {why}"), Some(*left)),
        Stride::Waits { why, after } => waits(why.clone(), *after),
        Stride::Failed { pod, why } => Work::Stuck {
            reason: Reason::RolloutFailed,
            message: format!(
                "{done}; pod {pod} was replaced and does not serve as it should: {why}. The others stay as they are \
                 until it does; correct what keeps it from that{word}"
            ),
            after: None,
        },
    })
}

fn resizing(pod: &str, resize: &Resize) -> String {
    let what = format!("pod {pod} gets other CPU and memory while it runs");
    match resize {
        Resize::Underway { why } if !why.is_empty() => format!("{what}, its kubelet says: {why}"),
        _ => what,
    }
}

fn done(step: &Step, pgpool: &Pgpool, observed: &Observed, applied: &Done) -> String {
    let next = applied.stateful_set.as_ref().and_then(rollout::certificates);
    let is_earlier = |copy: &String| next.is_some_and(|next| copy != next);
    let what = if observed.live.tls_copies.keys().any(is_earlier) {
        "serve the new certificate"
    } else {
        "are up to date"
    };
    format!("{} of {} pods {what}", step.proven, pgpool.spec.replicas())
}
