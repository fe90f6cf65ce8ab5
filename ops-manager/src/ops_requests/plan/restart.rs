//! `Restart`: every pod is replaced, one after the other.
//!
//! By an annotation of the pod template, as `kubectl rollout restart` does it. It stands in the spec, so that the
//! Pgpool gets a new generation, and says itself when all pods have followed.

use jiff::Timestamp;
use kube::ResourceExt;
use shared_types::conditions::OpsCondition;
use shared_types::{PgpoolOpsRequest, PgpoolSpec, names};

use super::{Goal, Step, edit, until};

pub(super) fn steps() -> Vec<Step> {
    vec![edit(), until(Goal::Ready, OpsCondition::RestartPods)]
}

/// The mark is of this request alone, and the same however often it is made.
pub(super) fn change(request: &PgpoolOpsRequest, begin: Timestamp, spec: &mut PgpoolSpec) {
    let template = spec.pod_template.get_or_insert_default();
    let metadata = template.metadata.get_or_insert_default();
    let mark = format!("{begin}/{}", request.name_any());
    metadata
        .annotations
        .insert(names::ANNOTATION_RESTARTED_AT.to_owned(), mark);
}
