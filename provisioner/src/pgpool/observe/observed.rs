//! What is observed, as values. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use operator_runtime::decode::Undecodable;
use proto::verdict::Verdict;
use shared_types::policies::PolicyState;
use shared_types::{AppBinding, PgpoolVersion};

use super::certificate::Certificate;
use super::certificate_revision::CertificateRevision;
use super::foreign_pod::ForeignPod;
use super::init_job_facts::InitFacts;
use super::lookup::Lookup;
use super::pods::PodFacts;
use super::reference_names::NamespacedName;
use crate::across_namespaces::Consent;
use crate::health::PodHealth;
use crate::maintenance_window::Window;
use crate::passwords::PasswordSource;
use crate::prometheus::ServiceMonitor;

/// Everything that a `Pgpool` refers to, except its certificates.
///
/// An `Option` is `None` when nothing refers to such an object; the names are in the `Pgpool` and the `AppBinding`.
#[derive(Clone, Default)]
pub(crate) struct Inputs {
    /// `spec.version`.
    pub(crate) version: Lookup<Arc<PgpoolVersion>>,
    /// `spec.postgresRef`; [`Lookup::Forbidden`] without consent.
    pub(crate) app_binding: Lookup<Arc<AppBinding>>,
    /// Whether the `Pgpool` may use that `AppBinding`.
    pub(crate) consent: Consent,
    /// The policy that checks the rights of whoever writes a `Pgpool`.
    pub(crate) rights: PolicyState,
    /// The policy that prevents the deletion of a protected `Pgpool`.
    pub(crate) protection: PolicyState,
    /// [`names::ANNOTATION_CHECKED_RIGHTS`](shared_types::names::ANNOTATION_CHECKED_RIGHTS) of the workload.
    pub(crate) checked_rights: Option<String>,
    /// Whether settings may make pgpool run a command.
    pub(crate) allow_commands: bool,
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
    /// With `spec.syncUsers` and consent: the labeled Secrets beside PostgreSQL.
    pub(crate) synced: Option<Lookup<Vec<Arc<Secret>>>>,
    /// Why the workload is not known, if it cannot be decoded.
    pub(crate) workload_undecodable: Option<Undecodable>,
    /// The current password file: it records which user had which password.
    pub(crate) users_in_force: Option<Arc<Secret>>,
    /// Generates the PCP password where there is none: one in use is never replaced.
    pub(crate) passwords: PasswordSource,
    /// The DNS domain of the cluster, `cluster.local` almost everywhere.
    pub(crate) cluster_domain: String,
    /// How long former CAs stay trusted, unless a `Pgpool` overrides it.
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

/// The objects with the names of those that the `Pgpool` owns; some may belong to someone else.
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
    /// For a Prometheus operator; watched only while a Pgpool may have one.
    pub(crate) service_monitor: Option<Arc<ServiceMonitor>>,
    /// Whether the API server serves that kind; [`Lookup::Pending`] while it is not watched.
    pub(crate) service_monitors: Lookup<()>,
    /// Keeps a majority during node drains.
    pub(crate) pod_disruption_budget: Option<Arc<PodDisruptionBudget>>,
    /// How programs find the pool.
    pub(crate) app_binding: Option<Arc<AppBinding>>,
    /// The workload.
    pub(crate) stateful_set: Option<Arc<StatefulSet>>,
    /// The TLS copies.
    pub(crate) tls_copies: BTreeMap<CertificateRevision, Arc<Secret>>,
    /// Checks of new settings, by name.
    pub(crate) config_checks: BTreeMap<String, ConfigCheck>,
}

/// A check of new settings.
#[derive(Clone)]
pub(crate) struct ConfigCheck {
    pub(crate) secret: Arc<Secret>,
    /// The pod in which pgpool reads the settings.
    pub(crate) pod: Option<Arc<Pod>>,
}

/// Everything that a reconcile depends on.
#[derive(Clone, Default)]
pub(crate) struct Observed {
    pub(crate) inputs: Inputs,
    pub(crate) live: Live,
    /// Empty without TLS.
    pub(crate) certificates: Vec<Certificate>,
    /// Certificate Secrets that ops-manager has seen and our label selector does not match.
    pub(crate) unlabeled_certificates: Vec<NamespacedName>,
    /// ops-manager's verdict on the channel, while that is connected.
    pub(crate) verdict: Option<Arc<Verdict>>,
    /// How long exactly these certificates have all existed, under the current spec.
    pub(crate) complete_for: Duration,
    /// In the order of their ordinals.
    pub(crate) pods: Vec<PodFacts>,
    /// Pods with the names of such pods that do not belong to the pool.
    pub(crate) foreign_pods: Vec<ForeignPod>,
    pub(crate) init: InitFacts,
    /// The maintenance window of Pgpools that name none.
    pub(crate) default_window: Option<Window>,
    /// The last probe results, by UID of the pod.
    pub(crate) pod_health: BTreeMap<String, PodHealth>,
}
