//! Which pod to probe, and how to log in to it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use shared_types::SslMode;

use crate::credential::Credential;

/// A pod that can be probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    /// Results are kept by UID: the next pod with the same name starts without any.
    pub(crate) uid: String,
    pub(crate) ip: IpAddr,
    /// Whether the readiness probe of the kubelet has passed.
    pub(crate) ready: bool,
    /// Whether it has certificates: during a rollout, pods with and without coexist.
    pub(crate) tls: bool,
}

/// How to log in to the pods of one `Pgpool`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// The name that the served certificate must have under `verify-full`.
    pub(crate) server_name: String,
    pub(crate) ssl_mode: SslMode,
    /// CAs of the served certificate, in PEM; used by `verify-ca` and `verify-full`.
    pub(crate) trust: Vec<u8>,
    /// Presented to the pod where clients log in by certificate.
    pub(crate) client: Option<ClientCertificate>,
    /// The client certificate from before `clientAuthMode` changed: a pod that has not read the new settings yet still
    /// demands one. Set by [`Health::set_targets`](super::Health::set_targets) and lost with the process, which costs
    /// one false alarm at worst.
    pub(crate) previous_client_certificate: Option<ClientCertificate>,
    pub(crate) login: Credential,
    /// The Secret that [`Self::login`] comes from, for messages: `namespace/name`.
    pub(crate) login_source: String,
    /// The PostgreSQL behind the pool, for messages: its address and the `AppBinding` that names it.
    pub(crate) backend: String,
    /// Whether PostgreSQL must accept writes.
    pub(crate) writes: bool,
    /// Time between two probes of a pod.
    pub(crate) period: Duration,
    /// Time that a probe may take.
    pub(crate) timeout: Duration,
    /// Probes in a row that must fail before a pod that accepted logins counts as refusing them.
    pub(crate) failure_threshold: u32,
}

impl Access {
    /// The `sslMode` for one pod: that of the clients, but never TLS with a pod that has no certificates, and never
    /// plain text with a pod that may insist on TLS.
    pub(crate) fn mode(&self, pod: &Pod) -> SslMode {
        match (pod.tls, self.ssl_mode) {
            (false, _) => SslMode::Disable,
            (true, SslMode::Disable) => SslMode::Require,
            (true, mode) => mode,
        }
    }

    /// Remembers the client certificate that was presented until now, where none is presented from now on.
    pub(super) fn remembering_certificate_of(mut self, before: Option<&Self>) -> Self {
        self.previous_client_certificate = match before {
            Some(before) if self.client.is_none() => before
                .client
                .clone()
                .or_else(|| before.previous_client_certificate.clone()),
            _ => None,
        };
        self
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("server_name", &self.server_name)
            .field("ssl_mode", &self.ssl_mode)
            .field("user", &self.login.user)
            .finish_non_exhaustive()
    }
}

/// A client certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    /// Leaf and intermediates, in PEM.
    pub(crate) chain: Vec<u8>,
    /// Private key, in PEM.
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(…)")
    }
}
