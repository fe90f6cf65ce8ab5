//! `Restart`: every pod is replaced, one after the other.
//!
//! With an annotation of the pod template, as `kubectl rollout restart` does it. It changes the spec, so the Pgpool gets a
//! new generation and reports itself when all pods have followed.

use jiff::Timestamp;
use kube::ResourceExt;
use shared_types::conditions::OpsCondition;
use shared_types::{PgpoolOpsRequest, PgpoolSpec, names};

use super::{Goal, Operation, Step, edit, wait_for};

pub(super) struct Restart;

impl Operation for Restart {
    fn steps(&self, _request: &PgpoolOpsRequest) -> Vec<Step> {
        vec![edit(), wait_for(Goal::Ready, OpsCondition::RestartPods)]
    }

    fn change(&self, request: &PgpoolOpsRequest, start: Timestamp, spec: &mut PgpoolSpec) {
        restart_pods(request, start, spec);
    }
}

/// The annotation is the same however often it is set, and differs from that of another request.
pub(super) fn restart_pods(request: &PgpoolOpsRequest, start: Timestamp, spec: &mut PgpoolSpec) {
    let template = spec.pod_template.get_or_insert_default();
    let metadata = template.metadata.get_or_insert_default();
    let value = format!("{start}/{}", request.name_any());
    metadata
        .annotations
        .insert(names::ANNOTATION_RESTARTED_AT.to_owned(), value);
}
