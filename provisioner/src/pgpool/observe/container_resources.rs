//! CPU and memory of a pod's containers: what is requested, what is allocated, and how to resize from one to the other.
//! Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use operator_runtime::apply::same_quantity;
use serde_json::{Value, json};

#[cfg(test)]
mod tests;

/// What Kubernetes can change while a container runs.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];

/// Quantities, by the name of what they measure.
type Amounts = BTreeMap<String, String>;

/// CPU and memory of each container, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes(BTreeMap<String, Size>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Size {
    limits: Amounts,
    requests: Amounts,
}

impl Sizes {
    /// Those that the spec requests.
    pub(crate) fn requested(pod: &PodSpec) -> Self {
        let containers = pod.containers.iter();
        Self::of(containers.map(|container| (&container.name, container.resources.as_ref())))
    }

    /// Those that the kubelet has allocated.
    pub(crate) fn allocated(status: &PodStatus) -> Self {
        let containers = status.container_statuses.iter().flatten();
        Self::of(containers.map(|container| (&container.name, container.resources.as_ref())))
    }

    fn of<'a>(containers: impl Iterator<Item = (&'a String, Option<&'a ResourceRequirements>)>) -> Self {
        Self(
            containers
                .map(|(name, resources)| (name.clone(), Size::of(resources)))
                .collect(),
        )
    }

    /// Whether every container of `other` has the same here. There may be more, which another controller has injected.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        let same = |(name, size): (&String, &Size)| self.0.get(name).is_some_and(|it| it.same(size));
        other.0.iter().all(same)
    }

    /// The body for the subresource `resize` that changes these to `next`: an entry for each container that changes. `None`
    /// where that is impossible: a limit or request can be changed, but not removed.
    pub(crate) fn way_to(&self, next: &Self) -> Option<Value> {
        let mut containers = Vec::new();
        for (name, next) in &next.0 {
            let size = self.0.get(name)?;
            if !size.reaches(next) {
                return None;
            }
            if !size.same(next) {
                containers.push(json!({
                    "name": name,
                    "resources": { "limits": next.limits, "requests": next.requests },
                }));
            }
        }
        Some(Value::Array(containers))
    }
}

impl Size {
    /// As Kubernetes reads it: a limit alone is the request as well.
    fn of(resources: Option<&ResourceRequirements>) -> Self {
        let kept = |amounts: Option<&BTreeMap<String, Quantity>>| -> Amounts {
            let amounts = amounts.into_iter().flatten();
            let kept = amounts.filter(|(name, _)| RESIZABLE.contains(&name.as_str()));
            kept.map(|(name, amount)| (name.clone(), amount.0.clone()))
                .collect()
        };
        let limits = kept(resources.and_then(|it| it.limits.as_ref()));
        let mut requests = limits.clone();
        requests.extend(kept(resources.and_then(|it| it.requests.as_ref())));
        Self { limits, requests }
    }

    fn same(&self, other: &Self) -> bool {
        let same = |ours: &Amounts, theirs: &Amounts| {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .all(|(name, amount)| theirs.get(name).is_some_and(|it| same_quantity(it, amount)))
        };
        same(&self.limits, &other.limits) && same(&self.requests, &other.requests)
    }

    fn reaches(&self, next: &Self) -> bool {
        let within = |ours: &Amounts, theirs: &Amounts| ours.keys().all(|name| theirs.contains_key(name));
        within(&self.limits, &next.limits) && within(&self.requests, &next.requests)
    }
}

/// Removes what can be changed while a pod runs.
pub(crate) fn leave_out(resources: &mut ResourceRequirements) {
    for amounts in [&mut resources.limits, &mut resources.requests] {
        if let Some(some) = amounts {
            some.retain(|name, _| !RESIZABLE.contains(&name.as_str()));
        }
        if amounts.as_ref().is_some_and(BTreeMap::is_empty) {
            *amounts = None;
        }
    }
}
