//! Reads everything a `Pgpool` refers to and everything it owns, as the caches have it. The only step that reads, and it
//! changes nothing: what has to be watched from now on is a value, [`Subscriptions`].
//!
//! Each referred object is a [`Lookup`], so that "not there", "not readable" and "not known yet" stay three
//! different things until `validate` turns them into three different sentences for the user.

mod certificates;
pub(crate) mod env_pairs;
mod init;
mod owned;
pub(crate) mod pods;
mod references;
mod referred;
pub(crate) mod sizes;
mod subscriptions;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use operator_runtime::Cache;
use proto::verdict::Verdict;
use shared_types::{AppBinding, Pgpool, PgpoolVersion, names};

use super::error::Error;
use crate::context::Context;
use crate::fleet::Admission;
use crate::health::PodHealth;
use crate::maintenance_window::Window;
use crate::passwords::PasswordSource;
use crate::prometheus::ServiceMonitor;

pub(crate) use certificates::{Certificate, published, published_for};
pub(crate) use init::{InitFacts, ended, is_due, trim as trim_job};
#[cfg(test)]
pub(crate) use owned::is_tls_copy;
use pods::PodFacts;
pub(crate) use references::NamespacedName;
#[cfg(test)]
pub(crate) use subscriptions::reads_service_monitors;
pub(crate) use subscriptions::{Subscriptions, names_service_monitor_agent};

/// What is known of an object somebody refers to.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) enum Lookup<T> {
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
    pub(crate) fn present(&self) -> Option<&T> {
        match self {
            Self::Present(found) => Some(found),
            Self::Pending | Self::Absent | Self::Forbidden => None,
        }
    }

    /// The same knowledge about a part of the object.
    pub(crate) fn map<U>(self, part: impl FnOnce(T) -> U) -> Lookup<U> {
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
pub(crate) struct Inputs {
    /// `spec.version`.
    pub(crate) version: Lookup<Arc<PgpoolVersion>>,
    /// `spec.postgresRef`.
    pub(crate) app_binding: Lookup<Arc<AppBinding>>,
    /// `spec.secret` of the `AppBinding`, in its namespace.
    pub(crate) backend_secret: Option<Lookup<Arc<Secret>>>,
    /// `spec.tlsSecret` of the `AppBinding`, in its namespace.
    pub(crate) backend_tls_secret: Option<Lookup<Arc<Secret>>>,
    /// The Secret of the PCP user: `spec.authSecret.name`, or the one that is generated.
    pub(crate) auth_secret: Lookup<Arc<Secret>>,
    /// `spec.configuration.secretName`.
    pub(crate) configuration_secret: Option<Lookup<Arc<Secret>>>,
    /// The Secrets that pairs in the environment of container `pgpool` refer to, by name.
    pub(crate) env_secrets: BTreeMap<String, Lookup<Arc<Secret>>>,
    /// With `spec.syncUsers`: the labelled Secrets beside PostgreSQL.
    pub(crate) synced: Option<Lookup<Vec<Arc<Secret>>>>,
    /// The password file as it stands: the memory of which user had which password.
    pub(crate) users_in_force: Option<Arc<Secret>>,
    /// Makes the PCP password where there is none: never over one that is in use.
    pub(crate) passwords: PasswordSource,
    /// The DNS domain of the cluster, `cluster.local` almost everywhere.
    pub(crate) cluster_domain: String,
    /// How long certificates of an earlier authority are accepted, unless a `Pgpool` says otherwise.
    pub(crate) ca_overlap: Duration,
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
pub(crate) struct Live {
    /// Where clients connect.
    pub(crate) primary_service: Option<Arc<Service>>,
    /// Names of the single pods.
    pub(crate) governing_service: Option<Arc<Service>>,
    /// Account of the pods.
    pub(crate) service_account: Option<Arc<ServiceAccount>>,
    /// The PCP user.
    pub(crate) auth_secret: Option<Arc<Secret>>,
    /// `pgpool.conf` and `pool_hba.conf`.
    pub(crate) config_secret: Option<Arc<Secret>>,
    /// `pcp.conf`.
    pub(crate) pcp_secret: Option<Arc<Secret>>,
    /// `pool_passwd`.
    pub(crate) users_secret: Option<Arc<Secret>>,
    /// Where the metrics are.
    pub(crate) stats_service: Option<Arc<Service>>,
    /// The login of the exporter.
    pub(crate) exporter_secret: Option<Arc<Secret>>,
    /// What tells a Prometheus operator of the metrics; looked for only where that may be.
    pub(crate) service_monitor: Option<Arc<ServiceMonitor>>,
    /// Whether the API server knows that kind, and shows it to us; [`Lookup::Pending`] while nobody asks.
    pub(crate) service_monitors: Lookup<()>,
    /// Keeps a majority during node drains.
    pub(crate) pod_disruption_budget: Option<Arc<PodDisruptionBudget>>,
    /// How programs find the pool.
    pub(crate) app_binding: Option<Arc<AppBinding>>,
    /// The workload.
    pub(crate) stateful_set: Option<Arc<StatefulSet>>,
    /// Copies of certificates, by name.
    pub(crate) tls_copies: BTreeMap<String, Arc<Secret>>,
    /// Settings that pgpool was asked to judge, by name.
    pub(crate) candidates: BTreeMap<String, Candidate>,
}

/// Settings that pgpool was asked to judge.
#[derive(Clone)]
pub(crate) struct Candidate {
    /// The settings.
    pub(crate) secret: Arc<Secret>,
    /// The pod in which pgpool reads them.
    pub(crate) pod: Option<Arc<Pod>>,
}

/// What a Pgpool may wait for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule {
    /// The window of those that name none.
    pub(crate) window: Option<Window>,
    /// What came of asking for a turn; `None` before that.
    pub(crate) admission: Option<Admission>,
}

/// Everything that a reconcile looks at.
#[derive(Clone, Default)]
pub(crate) struct Observed {
    /// What decides what the `Pgpool` becomes.
    pub(crate) inputs: Inputs,
    /// What there is of it.
    pub(crate) live: Live,
    /// The certificates that it needs; empty without TLS.
    pub(crate) certificates: Vec<Certificate>,
    /// Those of their Secrets that ops-manager has seen and our label selector does not match.
    pub(crate) unlabeled_certificates: Vec<NamespacedName>,
    /// What ops-manager says of them on the channel, while that is up.
    pub(crate) verdict: Option<Arc<Verdict>>,
    /// How long these very certificates have all been there, under the present spec.
    pub(crate) complete_for: Duration,
    /// Its pods, in the order of their ordinals.
    pub(crate) pods: Vec<PodFacts>,
    /// The user's scripts.
    pub(crate) init: InitFacts,
    /// What new certificates may wait for.
    pub(crate) schedule: Schedule,
    /// What the pods' last checks add up to, by UID.
    pub(crate) standings: BTreeMap<String, PodHealth>,
}

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
    let pods = own_pods(pgpool, context);
    Ok(Observed {
        inputs: referred::inputs(pgpool, context).await?,
        init: init::facts(pgpool, context).await?,
        live: owned::live(pgpool, context),
        verdict: context.verdicts.get(pgpool),
        complete_for: context.memory.with(&key, |pool| {
            pool.complete_for(pgpool.meta().generation, leaves, now)
        }),
        unlabeled_certificates: certificates::unlabeled(pgpool, context, &certificates),
        certificates,
        pods,
        schedule: Schedule {
            window: context.window.clone(),
            admission: None,
        },
        standings: context.health.results(&key),
    })
}

/// Pgpool has room for so many pods; a pod beyond was made by nobody.
const MOST_REPLICAS: i32 = 9;

/// The pods of a `Pgpool`, found by their names: a search through all pods would grow with the cluster.
pub(crate) fn own_pods(pgpool: &Pgpool, context: &Context) -> Vec<PodFacts> {
    let (namespace, name) = (pgpool.namespace().unwrap_or_default(), pgpool.name_any());
    let key = ObjectRef::from_obj(pgpool);
    let find = |ordinal| {
        let pod_name = format!("{name}-{ordinal}");
        let pod = context.caches.pods.get(Some(&namespace), &pod_name)?;
        let pod = context.memory.pending.current(&key, &pod_name, Some(pod))?;
        (pod.labels().get(names::LABEL_INSTANCE) == Some(&name)).then(|| pods::facts(&pod, ordinal))
    };
    let mut pods: Vec<_> = (0..MOST_REPLICAS).filter_map(find).collect();
    let uids: Vec<_> = pods.iter().map(|pod| pod.uid.as_str()).collect();
    let rejected = context.memory.with(&key, |pool| pool.rejected_resizes(&uids));
    for pod in &mut pods {
        pod.resize.refused = rejected.contains(&pod.uid);
    }
    pods
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
    known(context.named_secrets.lookup(namespace, name))
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
