//! Reads everything a `Pgpool` refers to and everything it owns, as the caches have it. The only step that reads, and it
//! changes nothing: what has to be watched from now on is a value, [`Subscriptions`].
//!
//! Each referred object is a [`Lookup`], so that "not there", "not readable" and "not known yet" stay three
//! different things until `validate` turns them into three different sentences for the user.

mod certificate;
mod certificate_revision;
mod certificates;
pub(crate) mod container_resources;
pub(crate) mod env_users;
mod foreign_pod;
mod init_job;
mod init_job_facts;
mod inputs;
mod lookup;
mod observed;
mod own_pods;
mod owned;
pub(crate) mod pods;
mod reference_names;
mod subscriptions;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Cache;
use shared_types::Pgpool;

use super::error::Error;
use crate::context::Context;

pub(crate) use certificate::Certificate;
pub(crate) use certificate_revision::CertificateRevision;
pub(crate) use certificates::{published, published_for};
pub(crate) use foreign_pod::ForeignPod;
pub(crate) use init_job_facts::{ended, is_due, trim as trim_job};
pub(crate) use inputs::may_notice_app_binding;
pub(crate) use lookup::Lookup;
pub(crate) use observed::{ConfigCheck, Inputs, Live, Observed};
pub(crate) use own_pods::{PoolPods, pool_pods};
#[cfg(test)]
pub(crate) use owned::is_tls_copy;
#[cfg(test)]
pub(crate) use subscriptions::reads_service_monitors;
pub(crate) use subscriptions::{Subscriptions, names_service_monitor_agent};

/// Looks everything up.
///
/// # Errors
/// Only when a question to the API server fails: whether an auth Secret that the cache does not have exists, or a
/// `ConfigMap` with scripts.
pub(crate) async fn observe(pgpool: &Pgpool, context: &Context, now: Timestamp) -> Result<Observed, Error> {
    let key = ObjectRef::from_obj(pgpool);
    let certificates = certificates::certificates(pgpool, context);
    let leaves: Option<Vec<_>> = certificates
        .iter()
        .map(|each| each.leaf().present().copied())
        .collect();
    let PoolPods { own, foreign } = pool_pods(pgpool, context);
    Ok(Observed {
        inputs: inputs::inputs(pgpool, context).await?,
        init: init_job::facts(pgpool, context).await?,
        live: owned::live(pgpool, context),
        verdict: context.verdicts.get(pgpool),
        complete_for: context.memory.with(&key, |pool| {
            pool.complete_for(pgpool.meta().generation, leaves, now)
        }),
        unlabeled_certificates: certificates::unlabeled(pgpool, context, &certificates),
        certificates,
        pods: own,
        foreign_pods: foreign,
        default_window: context.window.clone(),
        pod_health: context.health.results(&key),
    })
}

fn cached<K>(cache: &Cache<K>, namespace: Option<&str>, name: &str) -> Lookup<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + fmt::Debug + 'static,
{
    if let Some(why) = cache.undecodable(namespace, name) {
        return Lookup::Undecodable(why);
    }
    match (cache.get(namespace, name), kind(cache, namespace)) {
        (Some(found), _) => Lookup::Present(found),
        (None, Lookup::Present(()) | Lookup::Absent) => Lookup::Absent,
        (None, Lookup::Pending) => Lookup::Pending,
        (None, Lookup::Forbidden) => Lookup::Forbidden,
        (None, Lookup::Undecodable(why)) => Lookup::Undecodable(why),
    }
}

/// What is known of a kind in a namespace.
fn kind<K>(cache: &Cache<K>, namespace: Option<&str>) -> Lookup<()>
where
    K: Resource<DynamicType = ()> + Clone + fmt::Debug + 'static,
{
    use operator_runtime::Availability;
    let availability = namespace.map_or_else(
        || cache.availability(),
        |namespace| cache.availability_in(namespace),
    );
    match availability {
        Availability::Starting => Lookup::Pending,
        Availability::Served => Lookup::Present(()),
        Availability::Absent => Lookup::Absent,
        Availability::Forbidden => Lookup::Forbidden,
    }
}

fn named(context: &Context, namespace: &str, name: &str) -> Lookup<Arc<Secret>> {
    known(context.named_secrets.lookup(namespace, name))
}

fn known<K>(lookup: operator_runtime::Lookup<K>) -> Lookup<Arc<K>> {
    use operator_runtime::Lookup as Known;
    match lookup {
        Known::Pending => Lookup::Pending,
        Known::Absent => Lookup::Absent,
        Known::Forbidden => Lookup::Forbidden,
        Known::Undecodable(why) => Lookup::Undecodable(why),
        Known::Present(found) => Lookup::Present(found),
    }
}
