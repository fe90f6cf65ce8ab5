//! Which pods have to be told that what is mounted in them has changed. Pure.
//!
//! The kubelet brings a changed Secret into a pod in its own time, a minute or so, or at once when the pod itself
//! changes. So each running pod bears a note of the versions of the Secrets that it was told of, and is told when the
//! note does not fit. Everything is read from the cluster: a process that dies between the change of a Secret and the
//! note is followed by one that sees the same.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::cache::last_change;

use super::pods::PodFacts;

#[cfg(test)]
mod tests;

/// A pod that is so much younger than a change was made with it: the node may have heard of the change a little later
/// than we, and times are whole seconds.
const MARGIN: Duration = Duration::from_secs(3);

/// The Secrets that are mounted in the pods and may change under them.
#[derive(Default)]
pub struct Delivered {
    /// `pgpool.conf` and `pool_hba.conf`.
    pub config: Option<Secret>,
    /// `pcp.conf`.
    pub pcp: Option<Secret>,
    /// `pool_passwd`.
    pub users: Option<Secret>,
}

impl Delivered {
    fn all(&self) -> Option<[&Secret; 3]> {
        Some([self.config.as_ref()?, self.pcp.as_ref()?, self.users.as_ref()?])
    }

    /// The note for a pod that knows of everything: versions, and nothing of the content. `None` while a Secret is
    /// missing, and no pod can have started.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let versions = self
            .all()?
            .map(|secret| secret.resource_version().unwrap_or_default());
        Some(versions.join("."))
    }

    /// When one of them last changed; `None` while they are as they were created.
    fn last_change(&self) -> Option<Timestamp> {
        self.all()?.into_iter().filter_map(last_change).max()
    }

    /// The running pods that have to be told.
    #[must_use]
    pub fn untold<'a>(&self, pods: &'a [PodFacts]) -> Vec<&'a PodFacts> {
        let Some(note) = self.note() else {
            return Vec::new();
        };
        let changed = self.last_change();
        let running = pods.iter().filter(|pod| pod.ip.is_some());
        running
            .filter(|pod| match &pod.told {
                Some(told) => *told != note,
                // It has found everything when it started, unless something changed since.
                None => changed.is_some_and(|changed| pod.created.is_none_or(|it| it < changed + MARGIN)),
            })
            .collect()
    }
}
