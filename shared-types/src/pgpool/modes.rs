//! The words a Pgpool may choose from.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Use of TLS between clients and the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS is offered.
    Allow,
    /// TLS is offered, and used by the operator.
    Prefer,
    /// TLS only.
    Require,
    /// TLS only; the operator checks the chain of what is served.
    VerifyCa,
    /// TLS only; the operator checks the chain and the name of what is served.
    VerifyFull,
}

impl SslMode {
    /// Clients without TLS are refused.
    #[must_use]
    pub fn requires_tls(self) -> bool {
        matches!(self, Self::Require | Self::VerifyCa | Self::VerifyFull)
    }

    /// The pool serves TLS.
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

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthMode {
    /// Password, by MD5 challenge.
    #[default]
    Md5,
    /// Password, by SCRAM-SHA-256.
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

/// A certificate of a Pgpool, by its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Alias {
    /// Served by the pool.
    Server,
    /// Presented by the operator, and by users who log in with a certificate.
    Client,
    /// Used by the metrics exporter.
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

/// What stays when a Pgpool is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Auth and configuration Secrets stay.
    Halt,
    /// Auth and configuration Secrets stay.
    #[default]
    Delete,
    /// Nothing stays.
    WipeOut,
    /// Deletion is refused.
    DoNotTerminate,
}

/// Where a Pgpool stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Never ready so far.
    Provisioning,
    /// A restore runs; not used by a pooler.
    DataRestoring,
    /// Serves, all pods ready.
    Ready,
    /// Serves, but not all is well.
    Critical,
    /// Does not accept connections.
    NotReady,
    /// Stopped on demand.
    Halted,
    /// Not observed at present.
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
