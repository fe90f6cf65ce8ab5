//! How a pod gets other CPU and memory while it runs. Pure.
//!
//! Where the new template differs from a pod in nothing else, the pod is not replaced. Its subresource `resize` is written
//! with what the template requests; when its kubelet has allocated that, the pod equals one of the new revision, and is
//! labeled as one: otherwise the StatefulSet controller would replace it as soon as the partition allows. Until then the
//! partition holds the pod back. A pod that restarts in between keeps its revision, and is resized again.

use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::Value;
use shared_types::names;

use crate::pgpool::observe::container_resources::Sizes;
use crate::pgpool::observe::pods::{PodFacts, ResizeState};

/// What a resize needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resize {
    /// Nothing yet: the StatefulSet controller does not know the template.
    Later,
    /// The pod has to request this.
    Request {
        /// An entry for each container that changes.
        containers: Value,
    },
    /// The kubelet has not allocated it yet.
    InProgress {
        /// What the kubelet reports.
        why: String,
    },
    /// The pod equals the template, and gets the label of this revision.
    Adopt { revision: String },
}

/// What a pod of an earlier revision needs to equal the template; `None` when it has to be replaced. `revision` is the
/// current one, if it is known yet.
pub(super) fn resize(pod: &PodFacts, desired: &StatefulSet, revision: Option<&str>) -> Option<Resize> {
    let template = &desired.spec.as_ref()?.template;
    let template_base_hash = template.metadata.as_ref()?.annotations.as_ref()?;
    let template_base_hash = template_base_hash.get(names::ANNOTATION_TEMPLATE_BASE_HASH)?;
    let facts = &pod.resize;
    if facts.rejected || facts.template_base_hash.as_ref() != Some(template_base_hash) {
        return None;
    }
    let next = Sizes::requested(template.spec.as_ref()?);
    let containers = facts.requested.way_to(&next)?;
    let Some(revision) = revision else {
        return Some(Resize::Later);
    };
    if !facts.requested.cover(&next) {
        return Some(Resize::Request { containers });
    }
    match &facts.in_progress {
        Some(ResizeState::Infeasible) => None,
        Some(ResizeState::Waiting(why)) => Some(Resize::InProgress { why: why.clone() }),
        None if facts.allocated.cover(&next) => Some(Resize::Adopt {
            revision: revision.to_owned(),
        }),
        None => Some(Resize::InProgress { why: String::new() }),
    }
}
