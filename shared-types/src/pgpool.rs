//! `Pgpool`: a pool of Pgpool-II pods in front of one PostgreSQL, with certificates from cert-manager.
//!
//! The spec belongs to the user. What he leaves out is answered by methods here, in one place for both
//! operators, and never written back.

mod configuration;
mod init;
mod modes;
mod monitor;
mod pod_template;
mod service_template;
mod status;
pub(crate) mod tls;

use std::time::Duration;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{object::ObjectReference, schema};

pub use configuration::{AuthSecret, Backend, Configuration};
pub use init::{GitRepo, InitSpec, ScriptReference, ScriptSource};
pub use modes::{Alias, ClientAuthMode, DeletionPolicy, Phase, SslMode};
pub use monitor::{Agent, Endpoint, Exporter, Monitor, Prometheus, RelabelConfig, ServiceMonitor};
pub use pod_template::{PodSpec, PodTemplate};
pub use service_template::{ServiceAlias, ServicePort, ServiceSpec, ServiceTemplate};
pub use status::{CertificateChanges, CertificateStatus, PgpoolStatus, PodStatus};
pub use tls::{CertificateSpec, IssuerRef, KeyEncoding, PrivateKey, Subject, TlsConfig};

/// What the pool should be. What is left out has a default that is never written back.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "kubedb.com",
    version = "v1alpha2",
    kind = "Pgpool",
    plural = "pgpools",
    shortname = "pp",
    namespaced,
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
pub struct PgpoolSpec {
    /// Name of the `PgpoolVersion` to run.
    pub version: String,
    /// The `AppBinding` of the PostgreSQL behind the pool.
    pub postgres_ref: ObjectReference,
    /// Number of pods; 1 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub replicas: Option<i32>,
    /// Whether clients may, or must, use TLS, and how strictly the operator checks what the pods serve;
    /// `verify-full` with `tls` and `disable` without it when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<SslMode>")]
    pub ssl_mode: Option<SslMode>,
    /// How clients prove who they are; `md5` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<ClientAuthMode>")]
    pub client_auth_mode: Option<ClientAuthMode>,
    /// Certificates, and the issuer that signs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Credentials of the PCP user; a generated Secret `<name>-auth` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<AuthSecret>,
    /// The user's own `pgpool.conf` and backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Keep the passwords of the backend's labelled Secrets in the pool's password file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_users: Option<bool>,
    /// Scripts to run once the pool answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitSpec>,
    /// Changes to the pods and to the workload that runs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
    /// Changes to the Services `primary` and `stats`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "service_template::list")]
    pub service_templates: Vec<ServiceTemplate>,
    /// How often the operator logs in through the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_checker: Option<HealthChecker>,
    /// Metrics, and who scrapes them; no exporter runs when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<Monitor>,
    /// What stays when the Pgpool is deleted; `Delete` when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::word::<DeletionPolicy>")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Recommendations that other tools make for this Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_ops: Option<AutoOps>,
}

/// How often the operator logs in through the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthChecker {
    /// Seconds between two checks; 10 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub period_seconds: Option<i32>,
    /// Seconds that one check may take; 10 when unset, and never more than 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_seconds: Option<i32>,
    /// Failures in a row that count; 1 when unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub failure_threshold: Option<i32>,
    /// Do not mind whether PostgreSQL takes writes. The check asks for that and never writes itself; without this,
    /// a pool in front of a read-only PostgreSQL is not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_write_check: Option<bool>,
}

/// Recommendations of other tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutoOps {
    /// Make no recommendation for this Pgpool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// The health check with nothing left to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Time between two checks.
    pub period: Duration,
    /// Time that one check may take.
    pub timeout: Duration,
    /// Failures in a row that count.
    pub failure_threshold: i32,
    /// Whether it counts that PostgreSQL takes writes.
    pub writes: bool,
}

impl PgpoolSpec {
    /// Number of pods.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.replicas.unwrap_or(1)
    }

    /// The TLS mode: as asked, or the strictest when there are certificates.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        match (self.ssl_mode, &self.tls) {
            (Some(mode), _) => mode,
            (None, Some(_)) => SslMode::VerifyFull,
            (None, None) => SslMode::Disable,
        }
    }

    /// How clients prove who they are.
    #[must_use]
    pub fn client_auth_mode(&self) -> ClientAuthMode {
        self.client_auth_mode.unwrap_or_default()
    }

    /// What stays when the Pgpool is deleted.
    #[must_use]
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.deletion_policy.unwrap_or_default()
    }

    /// The health check; numbers below one count as one.
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

    /// What the user wrote about one certificate.
    #[must_use]
    pub fn certificate(&self, alias: Alias) -> Option<&CertificateSpec> {
        let certificates = &self.tls.as_ref()?.certificates;
        certificates
            .iter()
            .find(|certificate| certificate.alias == alias.as_str())
    }

    /// The issuer of one certificate: its own, else that of all.
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
