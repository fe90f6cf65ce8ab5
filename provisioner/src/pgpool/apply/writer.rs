//! Writes the objects of one `Pgpool`, and remembers them until the caches show them.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::apply::{Applied, ApplyError, Change};
use operator_runtime::cache::keep_last_change;
use operator_runtime::scope::Placement;
use operator_runtime::{Applier, Claim, Kind};
use shared_types::{Pgpool, names};
use tracing::info;

use super::pod_requests::{self, PodRef};
use crate::pgpool::decide::init_job::InitState;
use crate::pgpool::decide::rollout::Resize;
use crate::pgpool::memory::Memory;
use crate::pgpool::observe::pods::{self, PodFacts};

/// Writes the objects of one `Pgpool`.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) applier: &'a Applier,
    pub(crate) memory: &'a Memory,
    pub(crate) key: &'a ObjectRef<Pgpool>,
    /// What belongs to it.
    pub(crate) claim: &'a Claim,
}

impl Writer<'_> {
    pub(super) async fn put<K>(self, desired: &K, live: Option<&K>) -> Result<K, ApplyError>
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        let Applied { mut object, change } = self.applier.apply(self.claim, desired, live).await?;
        if change != Change::None {
            keep_last_change(&mut object);
            self.memory.pending.object(self.key, object.clone(), live);
        }
        Ok(object)
    }

    pub(super) async fn put_some<K>(
        self,
        desired: Option<K>,
        live: Option<&K>,
    ) -> Result<Option<K>, ApplyError>
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        match desired {
            Some(desired) => self.put(&desired, live).await.map(Some),
            None => Ok(None),
        }
    }

    /// Creates the Job of the user's scripts, which never changes afterwards.
    pub(super) async fn start(self, job: &Job) -> Result<InitState, ApplyError> {
        Ok(match self.applier.create(job).await? {
            Some(mut job) => {
                job.metadata.managed_fields = None;
                let job = Arc::new(job);
                self.memory.pending.object(self.key, Job::clone(&job), None);
                InitState::Exists(job)
            }
            // The watch on it will show whose it is.
            None => InitState::Unknown,
        })
    }

    /// Annotates a pod with the versions of what it mounts. Its kubelet then refreshes its volumes at once.
    pub(super) async fn sync_volumes(self, pod: &PodFacts, versions: &str) -> Result<(), ApplyError> {
        let namespace = self.key.namespace.as_deref().unwrap_or_default();
        let annotation = (names::ANNOTATION_MOUNTED_SECRETS, versions);
        let pod = PodRef {
            namespace,
            name: &pod.name,
            uid: &pod.uid,
        };
        let annotated = pod_requests::annotate(self.applier, pod, annotation).await?;
        if let Some(mut pod) = annotated {
            pods::trim(&mut pod);
            self.memory.pending.object(self.key, pod, None);
        }
        Ok(())
    }

    /// Does the next step of a resize. Returns whether it was rejected for good.
    pub(super) async fn resize(self, (name, uid): (&str, &str), resize: &Resize) -> Result<bool, ApplyError> {
        let namespace = self.key.namespace.as_deref().unwrap_or_default();
        let pod = PodRef { namespace, name, uid };
        let resized = match resize {
            Resize::Later | Resize::InProgress { .. } => return Ok(false),
            Resize::Request { containers } => pod_requests::resize(self.applier, pod, containers).await,
            Resize::Adopt { revision } => {
                pod_requests::label_resized(self.applier, pod, (pods::REVISION, revision)).await
            }
        };
        match resized {
            Ok(mut resized) => {
                pods::trim(&mut resized);
                self.memory.pending.object(self.key, resized, None);
                Ok(false)
            }
            // Another pod has its name already, which the watch will show.
            Err(error) if error.code() == Some(409) => Ok(false),
            Err(error) if matches!(error.code(), Some(403 | 404 | 405 | 422)) => {
                info!(%namespace, pod = %name, %error, "cannot be resized, and is replaced");
                self.memory.with(self.key, |pool| pool.reject_resize(uid));
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete<K>(self, live: &K) -> Result<(), ApplyError>
    where
        K: Kind,
        K::Scope: Placement<K>,
    {
        self.applier.delete(self.claim, live).await?;
        self.memory.pending.deleted(self.key, live);
        Ok(())
    }
}
