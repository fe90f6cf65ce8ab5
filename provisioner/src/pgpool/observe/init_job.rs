//! Reads the Job that runs the user's scripts, and looks up what its pod mounts. Reads nothing for a `Pgpool` without
//! scripts.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{GetParams, Request};
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde::de::IgnoredAny;
use shared_types::pgpool::ScriptReference;
use shared_types::{Pgpool, limits, names};

use super::init_job_facts::{InitFacts, is_due, wanted};
use super::{Lookup, known, named};
use crate::context::Context;
use crate::pgpool::error::Error;

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
    // More are refused: see `validate`.
    for reference in script.references().into_iter().take(limits::INIT_REFERENCES) {
        let found = match &reference {
            ScriptReference::Secret(name) => named(context, &namespace, name).map(drop),
            ScriptReference::ConfigMap(name) => config_map(context, &namespace, name).await?,
        };
        sources.push((reference, found));
    }
    Ok(InitFacts { job, sources })
}

/// Whether a `ConfigMap` exists. Read by name, once for each attempt to create the Job: the right to watch one would be the
/// right to list all. Only its metadata is requested, and not even that is decoded: the content may be large.
async fn config_map(context: &Context, namespace: &str, name: &str) -> Result<Lookup<()>, Error> {
    if !names::is_possible(name) {
        return Ok(Lookup::Absent);
    }
    let what = || format!("ConfigMap {namespace}/{name}");
    let url = ConfigMap::url_path(&(), Some(namespace));
    let request = Request::new(url).get_metadata(name, &GetParams::default());
    let request = request.map_err(|source| Error::Observe {
        what: what(),
        source: kube::Error::BuildRequest(source),
    })?;
    let answer = context.client.request::<IgnoredAny>(request);
    let answer = tokio::time::timeout(context.deadline, answer)
        .await
        .map_err(|_| Error::ObserveTimeout { what: what() })?;
    match answer {
        Ok(_) => Ok(Lookup::Present(())),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Lookup::Absent),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Lookup::Forbidden),
        Err(source) => Err(Error::Observe { what: what(), source }),
    }
}
