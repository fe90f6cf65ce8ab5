//! What is known of the Job that runs the user's scripts. Pure.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use shared_types::Pgpool;
use shared_types::conditions::{ConditionType, is_true};
use shared_types::pgpool::{ScriptReference, ScriptSource};
use shared_types::reserved::VOLUME_CERTS;

use super::certificate_revision::CertificateRevision;
use super::lookup::Lookup;

/// What is known of the user's scripts.
#[derive(Clone, Debug, Default)]
pub(crate) struct InitFacts {
    /// [`Lookup::Pending`] also without scripts.
    pub(crate) job: Lookup<Arc<Job>>,
    /// What the Job mounts, looked up only while the Job has to be created.
    pub(crate) sources: Vec<(ScriptReference, Lookup<()>)>,
}

impl InitFacts {
    /// The certificates that a pod of the Job may still have to mount.
    pub(crate) fn certificate_revision(&self) -> Option<CertificateRevision> {
        let job = self.job.present().filter(|job| !is_over(job))?;
        CertificateRevision::of_pod(job.spec.as_ref()?.template.spec.as_ref()?)
    }
}

/// Whether no pod of a Job will start again.
fn is_over(job: &Job) -> bool {
    ended(job, "Complete") || ended(job, "Failed")
}

/// Whether a Job has ended in a certain way.
pub(crate) fn ended(job: &Job, how: &str) -> bool {
    let conditions = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|it| it.type_ == how && it.status == "True")
}

/// Drops what is never read before a Job enters the cache.
pub(crate) fn trim(job: &mut Job) {
    job.metadata.annotations = None;
    let pod = job.spec.take().and_then(|spec| spec.template.spec);
    let mut volumes = pod.and_then(|pod| pod.volumes).unwrap_or_default();
    volumes.retain(|volume| volume.name == VOLUME_CERTS);
    job.spec = Some(JobSpec {
        template: PodTemplateSpec {
            metadata: None,
            spec: Some(PodSpec {
                volumes: Some(volumes),
                ..PodSpec::default()
            }),
        },
        ..JobSpec::default()
    });
}

pub(super) fn wanted(pgpool: &Pgpool) -> Option<&ScriptSource> {
    pgpool.spec.init.as_ref()?.wanted()
}

/// Whether scripts may run: only in a pool that is proven to serve.
pub(crate) fn is_due(pgpool: &Pgpool) -> bool {
    let conditions = pgpool.status.iter().flat_map(|status| &status.conditions);
    let conditions: Vec<_> = conditions.cloned().collect();
    is_true(&conditions, ConditionType::Ready)
}
