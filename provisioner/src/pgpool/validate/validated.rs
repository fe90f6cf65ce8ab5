//! The result of `validate`, in types that the later steps rely on.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::{Container, PodSpec, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use rustls_pki_types::CertificateDer;
use shared_types::explanation::{Blocked, Explanation};
use shared_types::pgpool::{Agent, ServiceMonitor};
use shared_types::{ClientAuthMode, DeletionPolicy, SslMode};

use super::init_job::Initialization;
use crate::credential::Credential;

/// How many children each pgpool has where the user sets no other number.
pub(crate) const NUM_INIT_CHILDREN: u32 = 5;

/// A `Pgpool` that can be built: every default resolved, every reference read, nothing in it that could break a
/// configuration file.
#[derive(Clone, Debug)]
pub(crate) struct Validated {
    /// `metadata.name`.
    pub(crate) name: String,
    /// `metadata.namespace`.
    pub(crate) namespace: String,
    /// Controller reference for all objects that are deleted with the `Pgpool`.
    pub(crate) owner: OwnerReference,
    /// Labels of every object.
    pub(crate) labels: BTreeMap<String, String>,
    /// The subset of [`Self::labels`] that selects pods. Immutable in a `StatefulSet`.
    pub(crate) selector: BTreeMap<String, String>,
    /// Names of the objects.
    pub(crate) names: Names,
    /// Number of pods.
    pub(crate) replicas: i32,
    /// `spec.version`, a name in the catalog.
    pub(crate) version: String,
    /// What runs.
    pub(crate) release: Release,
    /// Whether and how strictly clients use TLS.
    pub(crate) ssl_mode: SslMode,
    /// How clients prove who they are.
    pub(crate) client_auth_mode: ClientAuthMode,
    /// Whether the issuer of the server certificate issues client certificates, too. Otherwise clients are not trusted for
    /// coming from its CA.
    pub(crate) server_issuer_signs_clients: bool,
    /// What survives the `Pgpool`.
    pub(crate) deletion_policy: DeletionPolicy,
    /// The PostgreSQL behind.
    pub(crate) backend: Backend,
    /// The Secret of the PCP user.
    pub(crate) auth_secret: AuthSecret,
    /// Lines of `pool_passwd`, by user name; the login of [`Self::backend`] is among them.
    pub(crate) users: Vec<Credential>,
    /// What is wrong with users that are not among [`Self::users`], or not as asked.
    pub(crate) user_complaints: Vec<Explanation>,
    /// The user's own lines of `pgpool.conf`, each name once.
    pub(crate) custom_settings: Vec<Setting>,
    /// Why the settings that the user asks for cannot be used. Then there are none in `custom_settings`, and what would be
    /// written without them is not used: pods keep their current settings.
    pub(crate) blocked_settings: Option<Blocked>,
    /// Whether the nodes are the user's own list.
    pub(crate) custom_nodes: bool,
    /// Hash of the fields whose author needs more than the right to write a `Pgpool`; `None` if there are none.
    pub(crate) checked_rights: Option<String>,
    /// The name or address by which clients verify the server certificate.
    pub(crate) host: String,
    /// The user's wishes for pods.
    pub(crate) pod: PodOverrides,
    /// Scripts to run once.
    pub(crate) init: Initialization,
    /// The user's wishes for the primary Service.
    pub(crate) primary_service: ServiceOverrides,
    /// Who scrapes metrics; `None` when nobody does.
    pub(crate) monitoring: Option<Monitoring>,
}

impl Validated {
    /// Whether pgpool offers TLS to clients, so that certificates are needed before the workload can be built.
    pub(crate) fn serves_tls(&self) -> bool {
        self.ssl_mode.enabled()
    }

    /// Whether there is an exporter that verifies the certificate of pgpool.
    pub(crate) fn exporter_verifies(&self) -> bool {
        self.monitoring.as_ref().is_some_and(|it| it.verifies)
    }

    /// Whether there is an exporter that logs in by certificate. Where a password is asked for it shows none: pods
    /// would be restarted for the renewal of a certificate that nobody looks at.
    pub(crate) fn exporter_shows_certificate(&self) -> bool {
        self.monitoring.is_some() && self.client_auth_mode == ClientAuthMode::Cert
    }

    /// Whether the user configured part of `pgpool.conf`: if so, pgpool checks the file before a pod gets it.
    pub(crate) fn customized(&self) -> bool {
        self.custom_nodes || !self.custom_settings.is_empty()
    }

    /// How many children each pgpool has; `None` where the number comes from a Secret, so that no message may contain it.
    pub(crate) fn children(&self) -> Option<u32> {
        let mut custom = self.custom_settings.iter();
        match custom.find(|setting| setting.name == "num_init_children") {
            None => Some(NUM_INIT_CHILDREN),
            Some(setting) if setting.is_confidential => None,
            Some(setting) => setting.token.trim_matches('\'').parse().ok(),
        }
    }
}

/// Names of the owned objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// Service of the clients.
    pub(crate) primary_service: String,
    /// Headless Service of the pods.
    pub(crate) governing_service: String,
    /// Account of the pods: ours, or the user's.
    pub(crate) service_account: String,
    /// Secret with `pgpool.conf` and `pool_hba.conf`.
    pub(crate) config_secret: String,
    /// Secret with `pcp.conf`.
    pub(crate) pcp_secret: String,
    /// Secret with `pool_passwd`.
    pub(crate) users_secret: String,
}

/// The pgpool that the catalog names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// Major and minor version of pgpool: setting names depend on it.
    pub(crate) version: (u32, u32),
    /// Image of container `pgpool`.
    pub(crate) image: String,
    /// Image of container `exporter`, when the catalog has one.
    pub(crate) exporter: Option<String>,
    /// User, group and `fsGroup` of the pod.
    pub(crate) run_as_user: i64,
}

/// How pods take new certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateDelivery {
    /// pgpool reads certificates when it starts: pods are replaced.
    Restart,
}

impl Release {
    /// How this pgpool takes new certificates.
    #[allow(clippy::unused_self)]
    pub(crate) fn certificate_delivery(&self) -> CertificateDelivery {
        // No release that is supported reloads them.
        CertificateDelivery::Restart
    }
}

/// Where queries go.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    /// In the order of their pgpool node ids.
    pub(crate) nodes: Vec<BackendNode>,
    /// The login that the `AppBinding` names: health checks use it.
    pub(crate) login: Credential,
    /// The Secret that holds [`Self::login`], when a consumer in the namespace of the `Pgpool` can refer to it.
    pub(crate) login_secret: Option<String>,
    /// Whether the `AppBinding` asks for TLS towards PostgreSQL.
    pub(crate) tls: bool,
    /// Whether it asks that their certificates are verified.
    pub(crate) verify: bool,
    /// Authorities of the server certificates, when known.
    pub(crate) ca: Vec<CertificateDer<'static>>,
}

/// One PostgreSQL as pgpool sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackendNode {
    /// DNS name or address, without characters that need quoting.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
    /// Share of reads, relative to the other nodes.
    pub(crate) weight: i32,
    /// pgpool's flags, joined by `|`.
    pub(crate) flag: String,
}

/// The Secret of the PCP user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthSecret {
    /// Its name.
    pub(crate) name: String,
    /// Whether we write it; otherwise it is the user's and only read.
    pub(crate) ours: bool,
    /// The credentials that it contains, or will contain.
    pub(crate) login: Credential,
    /// The resource version that it was read in; `None` for one that is yet to be made.
    pub(crate) version: Option<String>,
}

/// One line of `pgpool.conf`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Name as pgpool of this release knows it.
    pub(crate) name: String,
    /// The value as written in the file: one token, quoted where needed.
    pub(crate) token: String,
    /// Where the user wrote it.
    pub(crate) place: String,
    /// Whether it comes from a Secret, so that no message may contain the value.
    pub(crate) is_confidential: bool,
}

/// Never shows the value: it may come from a Secret.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Setting");
        shown
            .field("name", &self.name)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// `spec.podTemplate`, cleared of what would break the pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodOverrides {
    /// Labels of the pods beyond ours.
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations of the pods.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Labels of the `StatefulSet` beyond ours.
    pub(crate) controller_labels: BTreeMap<String, String>,
    /// Annotations of the `StatefulSet`.
    pub(crate) controller_annotations: BTreeMap<String, String>,
    /// Container `pgpool` as the user shaped it: resources resolved, credentials taken out of its environment.
    pub(crate) pgpool: Container,
    /// Container `exporter` as the user shaped it.
    pub(crate) exporter: Option<Container>,
    /// The user's other containers, init containers, volumes and settings of the pod.
    pub(crate) spec: PodSpec,
    /// Whether the user names the account of the pods.
    pub(crate) own_service_account: bool,
}

/// `spec.monitor`, and everything else that users say about the exporter.
#[derive(Clone, Debug)]
pub(crate) struct Monitoring {
    /// Who scrapes.
    pub(crate) agent: Agent,
    /// Image of container `exporter`.
    pub(crate) image: String,
    /// Where the exporter listens, in plain HTTP.
    pub(crate) port: u16,
    /// Whether it verifies the certificate of pgpool, as `spec.sslMode` demands of clients.
    pub(crate) verifies: bool,
    /// Whether it verifies the name in that certificate, too.
    pub(crate) verifies_name: bool,
    /// The user's own arguments of it.
    pub(crate) args: Vec<String>,
    /// Container `exporter` as the user shaped it.
    pub(crate) container: Container,
    /// The user's wishes for the stats Service.
    pub(crate) service: ServiceOverrides,
    /// The user's wishes for the `ServiceMonitor`.
    pub(crate) service_monitor: ServiceMonitor,
    /// Name of the stats Service and of the `ServiceMonitor`.
    pub(crate) stats_service: String,
    /// Name of the Secret with the login of the exporter.
    pub(crate) login_secret: String,
}

/// `spec.serviceTemplates[]` of one alias.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceOverrides {
    /// Labels beyond ours.
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations.
    pub(crate) annotations: BTreeMap<String, String>,
    /// Type, addresses and traffic policies; ports already merged by name.
    pub(crate) spec: ServiceSpec,
}
