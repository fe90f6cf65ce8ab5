//! The Job that runs the user's scripts, and what its pod could not start without. Nothing of this is looked up for a
//! `Pgpool` without scripts.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{ConfigMap, PodSpec, PodTemplateSpec};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use shared_types::conditions::{ConditionType, is_true};
use shared_types::pgpool::{ScriptReference, ScriptSource};
use shared_types::reserved::VOLUME_CERTS;
use shared_types::{Pgpool, names};

use super::{Lookup, known, named};
use crate::context::Context;
use crate::pgpool::error::Error;

/// What is known of the scripts' way into the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct InitFacts {
    /// The Job; [`Lookup::Pending`] also where nobody asks for scripts.
    pub(crate) job: Lookup<Arc<Job>>,
    /// What has to be there to be mounted, looked up only while a Job is to be made.
    pub(crate) sources: Vec<(ScriptReference, Lookup<()>)>,
}

impl InitFacts {
    /// The Secret with certificates that a pod of the Job may still have to mount.
    pub(crate) fn certificates(&self) -> Option<&str> {
        let job = self.job.present().filter(|job| !is_over(job))?;
        let pod = job.spec.as_ref()?.template.spec.as_ref()?;
        let volume = pod.volumes.iter().flatten().find(|it| it.name == VOLUME_CERTS)?;
        volume.secret.as_ref()?.secret_name.as_deref()
    }
}

/// Whether no pod of a Job will start any more.
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

/// Drops what nobody here reads before a Job enters the cache.
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

/// Whether scripts may run at all: they meet a pool that has proven that it serves.
pub(crate) fn is_due(pgpool: &Pgpool) -> bool {
    let conditions = pgpool.status.iter().flat_map(|status| &status.conditions);
    let conditions: Vec<_> = conditions.cloned().collect();
    is_true(&conditions, ConditionType::Ready)
}

/// The Job, as far as it is known.
fn job(pgpool: &Pgpool, context: &Context) -> Lookup<Arc<Job>> {
    if wanted(pgpool).is_none() {
        return Lookup::Pending;
    }
    let key = ObjectRef::from_obj(pgpool);
    let (namespace, name) = (pgpool.namespace().unwrap_or_default(), names::init_job(pgpool));
    match known(context.jobs.lookup(&namespace, &name)) {
        Lookup::Absent => {
            let written = context.memory.pending.current(&key, &name, None);
            written.map_or(Lookup::Absent, Lookup::Present)
        }
        known => known,
    }
}

/// Everything about the scripts.
pub(super) async fn facts(pgpool: &Pgpool, context: &Context) -> Result<InitFacts, Error> {
    let job = job(pgpool, context);
    let mut sources = Vec::new();
    let Some(script) = wanted(pgpool) else {
        return Ok(InitFacts { job, sources });
    };
    if job != Lookup::Absent || !is_due(pgpool) {
        return Ok(InitFacts { job, sources });
    }
    let namespace = pgpool.namespace().unwrap_or_default();
    for reference in script.references() {
        let found = match &reference {
            ScriptReference::Secret(name) => named(context, &namespace, name).map(drop),
            ScriptReference::ConfigMap(name) => config_map(context, &namespace, name).await?,
        };
        sources.push((reference, found));
    }
    Ok(InitFacts { job, sources })
}

/// Whether a `ConfigMap` exists. It is asked for by name, once for each try to make the Job: the right to watch one
/// would be the right to list all.
async fn config_map(context: &Context, namespace: &str, name: &str) -> Result<Lookup<()>, Error> {
    let what = || format!("ConfigMap {namespace}/{name}");
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), namespace);
    let answer = tokio::time::timeout(context.deadline, api.get_metadata_opt(name))
        .await
        .map_err(|_| Error::ObserveTimeout { what: what() })?;
    match answer {
        Ok(Some(_)) => Ok(Lookup::Present(())),
        Ok(None) => Ok(Lookup::Absent),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Lookup::Forbidden),
        Err(source) => Err(Error::Observe { what: what(), source }),
    }
}
