//! `Pgpool`: a pool of Pgpool-II pods in front of one PostgreSQL, with certificates from cert-manager.
//!
//! The spec belongs to the user. Defaults are methods here, shared by both operators, and are never written back.

mod configuration;
mod init;
mod modes;
mod monitor;
mod pod_template;
mod service_template;
mod size;
mod status;
pub(crate) mod tls;

use std::time::Duration;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    object::ObjectReference,
    rules::{object_name, rule},
    schema,
};

pub use configuration::{AuthSecret, Backend, Configuration};
pub(crate) use configuration::{backends, only_pgpool_conf};
pub use init::{GitRepo, InitSpec, ScriptReference, ScriptSource};
pub use modes::{Alias, ClientAuthMode, DeletionPolicy, Phase, SslMode};
pub use monitor::{Agent, Endpoint, Exporter, Monitor, Prometheus, RelabelConfig, ServiceMonitor};
pub use pod_template::{PodSpec, PodTemplate};
pub use service_template::{ServiceAlias, ServicePort, ServiceSpec, ServiceTemplate};
pub use size::{bounded_annotation, check_size};
pub use status::{CertificateChanges, CertificateStatus, PgpoolStatus, PodStatus};
pub use tls::{
    CertificateNames, CertificateSpec, IssuerRef, KeyAlgorithm, KeyEncoding, KeyRotation, LIFETIME,
    PrivateKey, SHORTEST, SHORTEST_RENEWAL, Subject, TlsConfig, is_dns_name, is_email_address, is_uri,
};

/// Desired state of the pool. Defaults are not written back.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "kubedb.com",
    version = "v1alpha2",
    kind = "Pgpool",
    plural = "pgpools",
    shortname = "pp",
    namespaced,
    // Service names have at most 63 characters, and the controller-revision label of pods adds 11.
    validation = rule(
        "self.metadata.name.matches(r'^[a-z]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 52",
        "metadata.name is used in the names of Services and pods: start with a letter, use a-z, 0-9 and -, and at most 52 \
         characters"
    ),
    status = "PgpoolStatus",
    derive = "PartialEq",
    category = "datastore",
    category = "kubedb",
    category = "appscode",
    category = "all",
    doc = "A pool of Pgpool-II pods in front of one PostgreSQL",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status",
        priority = 1
    ),
    printcolumn(
        name = "TLS Expires",
        type_ = "string",
        json_path = ".status.certificates[?(@.alias=='server')].notAfter",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rule(
    "!has(self.sslMode) || self.sslMode == 'disable' || has(self.tls)",
    "spec.sslMode other than disable needs certificates: set spec.tls.issuerRef, or set spec.sslMode to disable",
).field_path(".sslMode"))]
#[x_kube(validation = rule(
    "!has(self.clientAuthMode) || self.clientAuthMode != 'cert' || (has(self.tls) && (!has(self.sslMode) || \
     self.sslMode != 'disable'))",
    "spec.clientAuthMode cert needs TLS: set spec.tls.issuerRef and a spec.sslMode other than disable, or set \
     spec.clientAuthMode to md5 or scram",
).field_path(".clientAuthMode"))]
pub struct PgpoolSpec {
    /// Name of the `PgpoolVersion` to run.
    #[schemars(length(max = 253))]
    #[x_kube(validation = object_name())]
    pub version: String,
    /// The `AppBinding` of the PostgreSQL server.
    pub postgres_ref: ObjectReference,
    /// Number of pods; 1 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: Option<i32>,
    /// TLS between clients and the pool, and how strictly the operator verifies the served certificate; `verify-full` with
    /// `tls` and `disable` without it when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<SslMode>")]
    pub ssl_mode: Option<SslMode>,
    /// How clients authenticate; `md5` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<ClientAuthMode>")]
    pub client_auth_mode: Option<ClientAuthMode>,
    /// Certificates of the pool, and their issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Secret with the credentials of the PCP user; a generated Secret `<name>-auth` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<AuthSecret>,
    /// Custom `pgpool.conf` settings and backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Whether to add the users in the labeled Secrets of the PostgreSQL to the password file of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_users: Option<bool>,
    /// Scripts to run once, when the pool becomes ready for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitSpec>,
    /// Changes to the pods and to the `StatefulSet` that runs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
    /// Changes to the Services `primary` and `stats`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "service_template::list")]
    pub service_templates: Vec<ServiceTemplate>,
    /// How the operator checks that it can log in through the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_checker: Option<HealthChecker>,
    /// Metrics exporter, and the Prometheus that scrapes it; no exporter runs when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// What remains after the Pgpool is deleted; `Delete` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<DeletionPolicy>")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Recommendations of other tools for this Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_ops: Option<AutoOps>,
}

/// How the operator checks that it can log in through the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthChecker {
    /// Seconds between two checks; 10 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub period_seconds: Option<i32>,
    /// Timeout of a check in seconds; 10 when unset, at most 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<i32>,
    /// Number of consecutive failures before the pool is not ready; 1 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub failure_threshold: Option<i32>,
    /// Accept a read-only PostgreSQL. Otherwise a pool in front of a read-only PostgreSQL is not ready. The check itself
    /// never writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_write_check: Option<bool>,
}

/// Recommendations of other tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoOps {
    /// Disables recommendations for this Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// The health check with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Time between two checks.
    pub period: Duration,
    /// Timeout of one check.
    pub timeout: Duration,
    /// Number of consecutive failures before the pool is not ready.
    pub failure_threshold: i32,
    /// Whether PostgreSQL must accept writes.
    pub writes: bool,
}

impl PgpoolSpec {
    /// Number of pods.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(1)
    }

    /// The TLS mode; by default the strictest if there are certificates.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        match (self.ssl_mode, &self.tls) {
            (Some(mode), _) => mode,
            (None, Some(_)) => SslMode::VerifyFull,
            (None, None) => SslMode::Disable,
        }
    }

    /// How clients authenticate.
    #[must_use]
    pub fn client_auth_mode(&self) -> ClientAuthMode {
        self.client_auth_mode.unwrap_or_default()
    }

    /// What remains after the Pgpool is deleted.
    #[must_use]
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or_default()
    }

    /// The health check. Numbers below one count as one.
    #[must_use]
    pub fn health_checker(&self) -> HealthCheck {
        let asked = self.health_checker.clone().unwrap_or_default();
        let seconds =
            |value: Option<i32>| Duration::from_secs(u64::try_from(value.unwrap_or(10)).unwrap_or(1).max(1));
        HealthCheck {
            period: seconds(asked.period_seconds),
            timeout: seconds(asked.timeout_seconds),
            failure_threshold: asked.failure_threshold.unwrap_or(1).max(1),
            writes: !asked.disable_write_check.unwrap_or(false),
        }
    }

    /// The settings of one certificate.
    #[must_use]
    pub fn certificate(&self, alias: Alias) -> Option<&CertificateSpec> {
        let certificates = &self.tls.as_ref()?.certificates;
        certificates
            .iter()
            .find(|certificate| certificate.alias == alias.as_str())
    }

    /// Which names certificates are requested for.
    #[must_use]
    pub fn certificate_names(&self) -> CertificateNames {
        let asked = self.tls.as_ref().and_then(|tls| tls.names);
        asked.unwrap_or_default()
    }

    /// The issuer of one certificate: its own, or the one of all certificates.
    #[must_use]
    pub fn issuer_ref(&self, alias: Alias) -> Option<&IssuerRef> {
        let own = self
            .certificate(alias)
            .and_then(|certificate| certificate.issuer_ref.as_ref());
        own.or_else(|| self.tls.as_ref()?.issuer_ref.as_ref())
    }
}

#[cfg(test)]
mod tests;
