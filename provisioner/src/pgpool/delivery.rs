//! Which pods have to be told that what is mounted in them has changed. Pure.
//!
//! The kubelet brings a changed Secret into a pod in its own time, a minute or so, or at once when the pod itself
//! changes. So each running pod bears a note of the versions of the Secrets that it was told of, and is told when the
//! note does not fit. Everything is read from the cluster: a process that dies between the change of a Secret and the
//! note is followed by one that sees the same.
//!
//! No pgpool says what it has read, so a pod that was told is given time to: until then nobody is told that the change is
//! in force.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::cache::last_change;

use super::observe::pods::PodFacts;

#[cfg(test)]
mod tests;

/// A pod that is so much younger than a change was made with it: the node may have heard of the change a little later
/// than we, and times are whole seconds.
const MARGIN: Duration = Duration::from_secs(3);

/// So long after it was told a pod has what is new: its kubelet brings it at once, the shell in the pod looks once a second,
/// and pgpool reads at once, all but a process of it that is at work. Seen: a second and a half. It is the time in which a
/// change has to be in force.
const READING: Duration = Duration::from_secs(5);

/// The time that is left until every pod has read what it was told of; `None` when it is over. `told`: one was told just
/// now.
///
/// Told is by the clock of the API server. One that is ahead of ours would hold up everybody, so what was told later than
/// now, and not by a little, does not count.
pub(crate) fn reading(pods: &[PodFacts], told: bool, now: Timestamp) -> Option<Duration> {
    if told {
        return Some(READING);
    }
    let times = pods.iter().filter_map(|pod| pod.told_at);
    let left = times.filter_map(|told| Duration::try_from((told + READING).duration_since(now)).ok());
    left.filter(|left| !left.is_zero() && *left <= READING + MARGIN)
        .max()
}

/// The Secrets that are mounted in the pods and may change under them.
#[derive(Default)]
pub(crate) struct Delivered {
    /// `pgpool.conf` and `pool_hba.conf`.
    pub(crate) config: Option<Secret>,
    /// `pcp.conf`.
    pub(crate) pcp: Option<Secret>,
    /// `pool_passwd`.
    pub(crate) users: Option<Secret>,
}

impl Delivered {
    fn all(&self) -> Option<[&Secret; 3]> {
        Some([self.config.as_ref()?, self.pcp.as_ref()?, self.users.as_ref()?])
    }

    /// The note for a pod that knows of everything: versions, and nothing of the content. `None` while a Secret is
    /// missing, and no pod can have started.
    pub(crate) fn note(&self) -> Option<String> {
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
    pub(crate) fn untold<'a>(&self, pods: &'a [PodFacts]) -> Vec<&'a PodFacts> {
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
