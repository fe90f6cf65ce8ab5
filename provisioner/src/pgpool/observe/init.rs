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
use crate::pgpool::context::Context;
use crate::pgpool::error::Error;

/// What is known of the scripts' way into the database.
#[derive(Clone, Debug, Default)]
pub struct InitFacts {
    /// The Job; [`Lookup::Pending`] also where nobody asks for scripts.
    pub job: Lookup<Arc<Job>>,
    /// What has to be there to be mounted, looked up only while a Job is to be made.
    pub sources: Vec<(ScriptReference, Lookup<()>)>,
}

impl InitFacts {
    /// The Secret with certificates that a pod of the Job may still have to mount.
    #[must_use]
    pub fn certificates(&self) -> Option<&str> {
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
#[must_use]
pub fn ended(job: &Job, how: &str) -> bool {
    let conditions = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|it| it.type_ == how && it.status == "True")
}

/// Drops what nobody here reads before a Job enters the cache.
pub fn trim(job: &mut Job) {
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

fn wanted(pgpool: &Pgpool) -> Option<&ScriptSource> {
    pgpool.spec.init.as_ref()?.wanted()
}

/// Whether scripts may run at all: they meet a pool that has proven that it serves.
#[must_use]
pub fn is_due(pgpool: &Pgpool) -> bool {
    let conditions = pgpool.status.iter().flat_map(|status| &status.conditions);
    let conditions: Vec<_> = conditions.cloned().collect();
    is_true(&conditions, ConditionType::Ready)
}

/// The Job, as far as it has been looked at. From now on it is watched, by name, and so are the Secrets that are
/// returned: as long as there is no Job, one that is missing may come.
pub(super) fn job(pgpool: &Pgpool, context: &Context) -> (Lookup<Arc<Job>>, Vec<(String, String)>) {
    let key = ObjectRef::from_obj(pgpool);
    let Some(script) = wanted(pgpool) else {
        context.jobs.follow(&key, &[]);
        return (Lookup::Pending, Vec::new());
    };
    let (namespace, name) = (pgpool.namespace().unwrap_or_default(), names::init_job(pgpool));
    context.jobs.follow(&key, &[(namespace.clone(), name.clone())]);
    let job = match known(context.jobs.lookup(&namespace, &name)) {
        Lookup::Absent => {
            let written = context.written.current(&key, &name, None);
            written.map_or(Lookup::Absent, Lookup::Present)
        }
        known => known,
    };
    let secret = |reference| match reference {
        ScriptReference::Secret(name) => Some((namespace.clone(), name)),
        ScriptReference::ConfigMap(_) => None,
    };
    let is_needed = job == Lookup::Absent;
    let secrets = script.references().into_iter().filter(|_| is_needed);
    (job, secrets.filter_map(secret).collect())
}

/// Everything about the scripts, given the Job.
pub(super) async fn facts(
    pgpool: &Pgpool,
    context: &Context,
    job: Lookup<Arc<Job>>,
) -> Result<InitFacts, Error> {
    let mut sources = Vec::new();
    let due = wanted(pgpool).filter(|_| job == Lookup::Absent && is_due(pgpool));
    let namespace = pgpool.namespace().unwrap_or_default();
    for reference in due.map(ScriptSource::references).unwrap_or_default() {
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
