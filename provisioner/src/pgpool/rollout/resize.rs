//! How a pod gets other CPU and memory while it runs. Pure.
//!
//! Where the new template differs from a pod in nothing else, the pod is not replaced. It is asked for what the template
//! says, by the subresource `resize`; when its kubelet has given that, the pod equals one of the new revision, and is
//! labelled as one: else the controller of the workload would replace it as soon as it may. Until then the partition holds
//! the pod back. A pod that restarts in between comes back as it was, and is resized again.

use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::Value;
use shared_types::names;

use crate::pgpool::observe::pods::{PodFacts, Underway};
use crate::pgpool::observe::sizes::Sizes;

/// The next act on the way of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resize {
    /// Nothing yet: the controller of the workload does not know the template.
    Later,
    /// Its spec is to ask for this.
    Ask {
        /// An entry for each container that changes.
        containers: Value,
    },
    /// Its kubelet is at work, or waits.
    Underway {
        /// What it says.
        why: String,
    },
    /// It is as the template says, and becomes one of this revision.
    Adopt {
        /// The revision.
        revision: String,
    },
}

/// What a pod that serves, and is not of the present revision, needs to equal the template; `None` when it has to be
/// replaced. `revision` is the present one, unless nobody knows it yet.
pub(super) fn resize(pod: &PodFacts, desired: &StatefulSet, revision: Option<&str>) -> Option<Resize> {
    let template = &desired.spec.as_ref()?.template;
    let mould = template.metadata.as_ref()?.annotations.as_ref()?;
    let mould = mould.get(names::ANNOTATION_TEMPLATE_BASE_HASH)?;
    let facts = &pod.resize;
    if facts.refused || facts.mould.as_ref() != Some(mould) {
        return None;
    }
    let next = Sizes::asked(template.spec.as_ref()?);
    let containers = facts.asked.way_to(&next)?;
    let Some(revision) = revision else {
        return Some(Resize::Later);
    };
    if !facts.asked.cover(&next) {
        return Some(Resize::Ask { containers });
    }
    match &facts.underway {
        Some(Underway::Infeasible) => None,
        Some(Underway::Waits(why)) => Some(Resize::Underway { why: why.clone() }),
        None if facts.given.cover(&next) => Some(Resize::Adopt {
            revision: revision.to_owned(),
        }),
        None => Some(Resize::Underway { why: String::new() }),
    }
}
