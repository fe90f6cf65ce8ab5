//! Which pods need a volume sync because a Secret that they mount has changed. Pure.
//!
//! The kubelet refreshes a changed Secret in a pod after a minute or so, or immediately when the pod itself changes. So
//! each running pod has an annotation with the versions of the Secrets that it was last synced with, and is annotated again
//! when they differ. Everything is read from the cluster: a process that dies between the change of a Secret and the
//! annotation is followed by one that sees the same.
//!
//! pgpool does not report what it has read, so a synced pod is given time for it: until then the change is not reported as
//! effective.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use operator_runtime::cache::last_change;

use crate::pgpool::observe::pods::PodFacts;

#[cfg(test)]
mod tests;

/// A pod created this long after a change may still have started without it: the node may receive the change a little
/// later than we do, and times are whole seconds.
const MARGIN: SignedDuration = SignedDuration::from_secs(3);

/// How long after a sync a pod has read the change: its kubelet refreshes the volume immediately, the shell in the pod checks
/// once a second, and pgpool reloads immediately, except for processes that serve a query. Measured: a second and a half.
const READING: SignedDuration = SignedDuration::from_secs(5);

/// The time that is left until every pod has read what it was synced with; `None` when it has passed. `synced_now`: a pod
/// was synced just now.
///
/// The times of syncs come from the clock of the API server. If that is ahead of ours it would hold up everything, so a sync
/// that lies in the future by more than a little does not count.
pub(crate) fn reading_time_left(pods: &[PodFacts], synced_now: bool, now: Timestamp) -> Option<Duration> {
    if synced_now {
        return Duration::try_from(READING).ok();
    }
    let times = pods.iter().filter_map(|pod| pod.synced_at);
    // Users may write any time into managed fields: differences never overflow, sums would.
    let left = times.filter_map(|synced_at| READING.checked_sub(now.duration_since(synced_at)));
    let plausible = left.filter(|left| left.is_positive() && *left <= READING.saturating_add(MARGIN));
    plausible.max().and_then(|left| Duration::try_from(left).ok())
}

/// The Secrets that pods mount and that may change while they run.
#[derive(Default)]
pub(crate) struct MountedSecrets {
    /// `pgpool.conf` and `pool_hba.conf`.
    pub(crate) config: Option<Secret>,
    /// `pcp.conf`.
    pub(crate) pcp: Option<Secret>,
    /// `pool_passwd`.
    pub(crate) users: Option<Secret>,
}

impl MountedSecrets {
    fn all(&self) -> Option<[&Secret; 3]> {
        Some([self.config.as_ref()?, self.pcp.as_ref()?, self.users.as_ref()?])
    }

    /// The annotation of a pod that is up to date: versions, and nothing of the content. `None` while a Secret is missing,
    /// and no pod can have started.
    pub(crate) fn versions(&self) -> Option<String> {
        let versions = self
            .all()?
            .map(|secret| secret.resource_version().unwrap_or_default());
        Some(versions.join("."))
    }

    /// When one of them last changed; `None` while they are as they were created.
    fn last_change(&self) -> Option<Timestamp> {
        self.all()?.into_iter().filter_map(last_change).max()
    }

    /// The running pods that need a volume sync.
    pub(crate) fn outdated<'a>(&self, pods: &'a [PodFacts]) -> Vec<&'a PodFacts> {
        let Some(versions) = self.versions() else {
            return Vec::new();
        };
        let changed = self.last_change();
        let running = pods.iter().filter(|pod| pod.ip.is_some());
        running
            .filter(|pod| match &pod.synced_versions {
                Some(synced) => *synced != versions,
                // It mounted the current versions when it started, unless something changed since.
                None => changed.is_some_and(|changed| {
                    pod.created
                        .is_none_or(|created| created.duration_since(changed) < MARGIN)
                }),
            })
            .collect()
    }
}
