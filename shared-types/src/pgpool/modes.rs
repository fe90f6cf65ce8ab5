//! Enumerations of a Pgpool.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TLS between clients and the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS is offered.
    Allow,
    /// TLS is offered, and the operator uses it.
    Prefer,
    /// TLS only.
    Require,
    /// TLS only. The operator verifies the chain of the served certificate.
    VerifyCa,
    /// TLS only. The operator verifies the chain and the name of the served certificate.
    VerifyFull,
}

impl SslMode {
    /// Whether clients without TLS are rejected.
    #[must_use]
    pub fn requires_tls(self) -> bool {
        matches!(self, Self::Require | Self::VerifyCa | Self::VerifyFull)
    }

    /// Whether the pool serves TLS.
    #[must_use]
    pub fn enabled(self) -> bool {
        self != Self::Disable
    }

    /// As written in a manifest and in a connection string.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How clients authenticate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthMode {
    /// Password, with an MD5 challenge.
    #[default]
    Md5,
    /// Password, with SCRAM-SHA-256.
    Scram,
    /// Client certificate whose common name is the user.
    Cert,
}

impl ClientAuthMode {
    /// As written in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Scram => "scram",
            Self::Cert => "cert",
        }
    }
}

/// A certificate of a Pgpool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Alias {
    /// The certificate that the pool serves.
    Server,
    /// The certificate that the operator, and users who log in with a certificate, present.
    Client,
    /// The certificate of the metrics exporter.
    MetricsExporter,
}

impl Alias {
    /// Every certificate of a Pgpool.
    pub const ALL: [Self; 3] = [Self::Server, Self::Client, Self::MetricsExporter];

    /// As written in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::MetricsExporter => "metrics-exporter",
        }
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What remains after a Pgpool is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Auth and configuration Secrets remain.
    Halt,
    /// Auth and configuration Secrets remain.
    #[default]
    Delete,
    /// Nothing remains.
    WipeOut,
    /// Deletion is rejected.
    DoNotTerminate,
}

/// Summary of the state of a Pgpool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Has not been ready yet.
    Provisioning,
    /// A restore runs. Not used by a Pgpool.
    DataRestoring,
    /// Accepts connections, and all pods are ready.
    Ready,
    /// Accepts connections, but something needs attention.
    Critical,
    /// Does not accept connections.
    NotReady,
    /// Stopped on request.
    Halted,
    /// The state could not be observed.
    Unknown,
}

impl Phase {
    /// As written in a status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "Provisioning",
            Self::DataRestoring => "DataRestoring",
            Self::Ready => "Ready",
            Self::Critical => "Critical",
            Self::NotReady => "NotReady",
            Self::Halted => "Halted",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
