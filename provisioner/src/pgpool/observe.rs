//! Reads everything a `Pgpool` refers to and everything it owns, as the caches have it. The only step that looks
//! anything up; it decides nothing.
//!
//! Each referred object is a [`Lookup`], so that "not there", "not readable" and "not known yet" stay three
//! different things until `validate` turns them into three different sentences for the user.

mod certificates;
mod init;
mod owned;
mod referred;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::Cache;
use proto::verdict::Verdict;
use shared_types::{AppBinding, Pgpool, PgpoolVersion};

use super::context::Context;
use super::error::Error;
use super::handoff::Certificate;
use super::pods::{self, PodFacts};
use super::turn::Schedule;
use crate::health::PodHealth;
use crate::prometheus::ServiceMonitor;

pub use certificates::{published, published_for};
pub use init::{InitFacts, ended, is_due, trim as trim_job};
#[cfg(test)]
pub use owned::is_tls_copy;

/// What is known of an object somebody refers to.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The watch on it has not answered yet.
    #[default]
    Pending,
    /// The API server says that there is no such object, or does not serve its kind.
    Absent,
    /// The operator may not read it.
    Forbidden,
    /// It is there.
    Present(T),
}

impl<T> Lookup<T> {
    /// The object, when it is there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(found) => Some(found),
            Self::Pending | Self::Absent | Self::Forbidden => None,
        }
    }

    /// The same knowledge about a part of the object.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Lookup<U> {
        match self {
            Self::Pending => Lookup::Pending,
            Self::Absent => Lookup::Absent,
            Self::Forbidden => Lookup::Forbidden,
            Self::Present(found) => Lookup::Present(part(found)),
        }
    }
}

impl<T> fmt::Debug for Lookup<T> {
    /// Leaves the object out: it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "Pending",
            Self::Absent => "Absent",
            Self::Forbidden => "Forbidden",
            Self::Present(_) => "Present(…)",
        })
    }
}

/// Everything outside the `Pgpool` that decides what it becomes, except its certificates.
///
/// An `Option` is `None` when nothing refers to such an object; the names are in the `Pgpool` and the `AppBinding`.
#[derive(Clone, Default)]
pub struct Inputs {
    /// `spec.version`.
    pub version: Lookup<Arc<PgpoolVersion>>,
    /// `spec.postgresRef`.
    pub app_binding: Lookup<Arc<AppBinding>>,
    /// `spec.secret` of the `AppBinding`, in its namespace.
    pub backend_secret: Option<Lookup<Arc<Secret>>>,
    /// `spec.tlsSecret` of the `AppBinding`, in its namespace.
    pub backend_tls_secret: Option<Lookup<Arc<Secret>>>,
    /// The Secret of the PCP user: `spec.authSecret.name`, or the one that is generated.
    pub auth_secret: Lookup<Arc<Secret>>,
    /// `spec.configuration.secretName`.
    pub configuration_secret: Option<Lookup<Arc<Secret>>>,
    /// The Secrets that pairs in the environment of container `pgpool` refer to, by name.
    pub env_secrets: BTreeMap<String, Lookup<Arc<Secret>>>,
    /// With `spec.syncUsers`: the labelled Secrets beside PostgreSQL.
    pub synced: Option<Lookup<Vec<Arc<Secret>>>>,
    /// The password file as it stands: the memory of which user had which password.
    pub users_in_force: Option<Arc<Secret>>,
    /// A fresh PCP password (16 characters): `Some` only while the generated auth Secret is known to be absent, so
    /// that a password which is in use is never replaced.
    pub new_pcp_password: Option<String>,
    /// The DNS domain of the cluster, `cluster.local` almost everywhere.
    pub cluster_domain: String,
    /// How long certificates of an earlier authority are accepted, unless a `Pgpool` says otherwise.
    pub ca_overlap: Duration,
}

impl fmt::Debug for Inputs {
    /// Leaves the contents of Secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs")
            .field("cluster_domain", &self.cluster_domain)
            .finish_non_exhaustive()
    }
}

/// The objects that the `Pgpool` owns, by their names; what is somebody else's may be among them.
#[derive(Clone, Default)]
pub struct Live {
    /// Where clients connect.
    pub primary_service: Option<Arc<Service>>,
    /// Names of the single pods.
    pub governing_service: Option<Arc<Service>>,
    /// Account of the pods.
    pub service_account: Option<Arc<ServiceAccount>>,
    /// The PCP user.
    pub auth_secret: Option<Arc<Secret>>,
    /// `pgpool.conf` and `pool_hba.conf`.
    pub config_secret: Option<Arc<Secret>>,
    /// `pcp.conf`.
    pub pcp_secret: Option<Arc<Secret>>,
    /// `pool_passwd`.
    pub users_secret: Option<Arc<Secret>>,
    /// Where the metrics are.
    pub stats_service: Option<Arc<Service>>,
    /// The login of the exporter.
    pub exporter_secret: Option<Arc<Secret>>,
    /// What tells a Prometheus operator of the metrics; looked for only where that may be.
    pub service_monitor: Option<Arc<ServiceMonitor>>,
    /// Whether the API server knows that kind, and shows it to us; [`Lookup::Pending`] while nobody asks.
    pub service_monitors: Lookup<()>,
    /// Keeps a majority during node drains.
    pub pod_disruption_budget: Option<Arc<PodDisruptionBudget>>,
    /// How programs find the pool.
    pub app_binding: Option<Arc<AppBinding>>,
    /// The workload.
    pub stateful_set: Option<Arc<StatefulSet>>,
    /// Copies of certificates, by name.
    pub tls_copies: BTreeMap<String, Arc<Secret>>,
    /// Settings that pgpool was asked to judge, by name.
    pub candidates: BTreeMap<String, Candidate>,
}

/// Settings that pgpool was asked to judge.
#[derive(Clone)]
pub struct Candidate {
    /// The settings.
    pub secret: Arc<Secret>,
    /// The pod in which pgpool reads them.
    pub pod: Option<Arc<Pod>>,
}

/// Everything that a reconcile looks at.
#[derive(Clone, Default)]
pub struct Observed {
    /// What decides what the `Pgpool` becomes.
    pub inputs: Inputs,
    /// What there is of it.
    pub live: Live,
    /// The certificates that it needs; empty without TLS.
    pub certificates: Vec<Certificate>,
    /// What ops-manager says of them on the channel, while that is up.
    pub verdict: Option<Arc<Verdict>>,
    /// How long these very certificates have all been there, under the present spec.
    pub complete_for: Duration,
    /// Its pods, in the order of their ordinals.
    pub pods: Vec<PodFacts>,
    /// The user's scripts.
    pub init: InitFacts,
    /// What new certificates may wait for.
    pub schedule: Schedule,
    /// What the pods' last checks add up to, by UID.
    pub standings: BTreeMap<String, PodHealth>,
}

/// Looks everything up.
///
/// # Errors
/// Only when a question to the API server fails: whether an auth Secret that the cache does not have exists, or a
/// `ConfigMap` with scripts.
pub async fn observe(pgpool: &Pgpool, context: &Context, now: Timestamp) -> Result<Observed, Error> {
    let key = ObjectRef::from_obj(pgpool);
    let certificates = certificates::certificates(pgpool, context);
    let leaves: Option<Vec<_>> = certificates
        .iter()
        .map(|each| each.leaf().present().copied())
        .collect();
    let (job, secrets) = init::job(pgpool, context);
    let mut pods = pods::of(pgpool, &context.caches.pods, &context.written);
    context.resizes.mark(&key, &mut pods);
    Ok(Observed {
        inputs: referred::inputs(pgpool, context, &certificates, secrets).await?,
        init: init::facts(pgpool, context, job).await?,
        live: owned::live(pgpool, context),
        verdict: context.verdicts.get(pgpool),
        complete_for: context
            .patience
            .complete_for(&key, pgpool.meta().generation, leaves, now),
        certificates,
        pods,
        schedule: Schedule {
            window: context.window.clone(),
            admission: None,
        },
        standings: context.health.results(&key),
    })
}

fn cached<K>(cache: &Cache<K>, namespace: Option<&str>, name: &str) -> Lookup<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + fmt::Debug + 'static,
{
    match (cache.get(namespace, name), kind(cache, namespace)) {
        (Some(found), _) => Lookup::Present(found),
        (None, Lookup::Present(()) | Lookup::Absent) => Lookup::Absent,
        (None, Lookup::Pending) => Lookup::Pending,
        (None, Lookup::Forbidden) => Lookup::Forbidden,
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
    known(context.named.lookup(namespace, name))
}

fn known<K>(lookup: operator_runtime::Lookup<K>) -> Lookup<Arc<K>> {
    use operator_runtime::Lookup as Known;
    match lookup {
        Known::Pending => Lookup::Pending,
        Known::Absent => Lookup::Absent,
        Known::Forbidden => Lookup::Forbidden,
        Known::Present(found) => Lookup::Present(found),
    }
}
