//! How the replacing of pods is reported.

use shared_types::Pgpool;
use shared_types::conditions::Reason;
use shared_types::explanation::Blocked;

use crate::pgpool::apply::Applied;
use crate::pgpool::decide::Decision;
use crate::pgpool::decide::rollout::{Action, Resize, Step};
use crate::pgpool::observe::{CertificateRevision, Observed};

/// What a rollout waits for; `None` when no pod is being replaced, or that has not begun.
pub(super) fn rolling(
    pgpool: &Pgpool,
    observed: &Observed,
    decision: &Decision<'_>,
    applied: &Applied,
    verified_by: &str,
) -> Option<Blocked> {
    let step = &decision.workload.as_ref()?.step;
    let done = done(step, pgpool, observed, applied);
    let waits = |what: String| Blocked::waiting(Reason::RollingOut, format!("{done}; {what}{verified_by}"));
    Some(match &step.action {
        Action::UpToDate | Action::Unobserved => return None,
        Action::Replacing { pod } => waits(format!("pod {pod} is being replaced")),
        Action::Resizing { pod, resize, .. } => waits(resizing(pod, resize)),
        Action::Proving { pod, why, left } => waits(format!("waiting for pod {pod}: {why}")).after(*left),
        Action::Waiting { why, after } => waits(why.clone()).after(*after),
        Action::Failed { pod, why } => {
            let message = format!(
                "{done}; pod {pod} was replaced and does not serve as it should: {why}. The other pods are not \
                 replaced until it does; fix what the message names{verified_by}"
            );
            Blocked::stuck(Reason::RolloutFailed, message)
        }
    })
}

fn resizing(pod: &str, resize: &Resize) -> String {
    let what = format!("pod {pod} gets other CPU and memory while it runs");
    match resize {
        Resize::InProgress { why } if !why.is_empty() => format!("{what}, its kubelet reports: {why}"),
        _ => what,
    }
}

fn done(step: &Step, pgpool: &Pgpool, observed: &Observed, applied: &Applied) -> String {
    let next = applied
        .stateful_set
        .as_ref()
        .and_then(CertificateRevision::of_workload);
    let is_earlier = |revision| next.as_ref().is_some_and(|next| revision != next);
    let what = if observed.live.tls_copies.keys().any(is_earlier) {
        "serve the new certificate"
    } else {
        "are up to date"
    };
    format!("{} of {} pods {what}", step.proven, pgpool.spec.replicas())
}
