//! Which pod to probe, and how to log in to it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use shared_types::SslMode;
use tls_bundle::Fingerprint;
use tokio::time::Instant;

use crate::credential::Credential;

/// How long md5 is still answered after `spec.clientAuthMode` has changed: longer than pods need to reload their rules.
const MD5_GRACE: Duration = Duration::from_mins(1);

/// A pod that can be probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    /// Results are kept by UID: the next pod with the same name starts without any.
    pub(crate) uid: String,
    pub(crate) ip: IpAddr,
    /// Whether the readiness probe of the kubelet has passed.
    pub(crate) ready: bool,
    pub(crate) identity: PodIdentity,
    /// Why no connection to it is opened.
    pub(crate) address_refusal: Option<AddressRefusal>,
}

/// By what a pod is recognized before anything is sent to it. Pods of one pool differ during a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PodIdentity {
    /// It has no certificates.
    PlainText,
    /// It serves the certificate that its Secret contains.
    Certificate {
        certificate: ExpectedCertificate,
        /// The Secret that the pod mounts.
        secret: String,
    },
    /// It has certificates, and nothing says which: the Secret that it mounts is gone, or cannot be read.
    Unknown {
        /// The Secret that the pod mounts.
        secret: String,
    },
}

/// The certificate that a pod must serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedCertificate {
    pub(crate) leaf: Fingerprint,
    /// The CAs that clients verify it with, in PEM, as they were when it was accepted: during a rollout those of each pod are
    /// its own. `None` if its issuer publishes none. Used by `verify-ca` and `verify-full`.
    pub(crate) ca: Option<Arc<[u8]>>,
}

/// Why no connection to the address of a pod is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressRefusal {
    /// No network plugin gives such an address to a pod, so somebody else has written it into its status.
    #[error(
        "its status has the address {0}, which no pod can have, so no connection was opened; delete the pod, and find out who \
         may change the status of pods in this namespace"
    )]
    Impossible(IpAddr),
    /// Every process on the node can answer there.
    #[error(
        "it has the address of its node, {0}, where any process of the node could answer, so no login was sent; remove \
         `hostNetwork` from `spec.podTemplate`, or use TLS, by which the operator recognizes the pod"
    )]
    Node(IpAddr),
}

/// How to log in to the pods of one `Pgpool`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    /// The names of which the served certificate must have one under `verify-full`; the first is sent to the server. Without
    /// any, `verify-full` demands no more than `verify-ca`.
    pub(crate) server_names: Vec<String>,
    pub(crate) ssl_mode: SslMode,
    /// Presented to the pod where clients log in by certificate.
    pub(crate) client: Option<ClientCertificate>,
    /// The client certificate from before `clientAuthMode` changed: a pod that has not read the new settings yet still
    /// demands one. Set by [`Health::set_targets`](super::Health::set_targets) and lost with the process, which costs
    /// one false alarm at worst.
    pub(crate) previous_client_certificate: Option<ClientCertificate>,
    pub(crate) login: Credential,
    /// Whether pods without TLS may ask for an md5 hash of the password. Pods with TLS always may.
    pub(crate) md5: bool,
    /// Until when they still may, after it was no longer allowed: they reload their rules a few seconds later. Set by
    /// [`Health::set_targets`](super::Health::set_targets).
    pub(crate) md5_until: Option<Instant>,
    /// The Secret that [`Self::login`] comes from, for messages: `namespace/name`.
    pub(crate) login_source: String,
    /// The PostgreSQL behind the pool, for messages: its address and the `AppBinding` that names it.
    pub(crate) backend: String,
    /// How many children a pgpool has, for messages; `None` where the number must not be shown.
    pub(crate) children: Option<u32>,
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
        match (&pod.identity, self.ssl_mode) {
            (PodIdentity::PlainText, _) => SslMode::Disable,
            (_, SslMode::Disable) => SslMode::Require,
            (_, mode) => mode,
        }
    }

    /// Whether an md5 hash of the password is answered without TLS now.
    pub(super) fn answers_md5(&self) -> bool {
        self.md5 || self.md5_until.is_some_and(|until| Instant::now() < until)
    }

    /// Remembers how logins worked until now: the client certificate that was presented where none is presented from now
    /// on, and that md5 was allowed.
    pub(super) fn remembering(mut self, before: Option<&Self>) -> Self {
        self.md5_until = match before {
            _ if self.md5 => None,
            Some(before) if before.md5 => Instant::now().checked_add(MD5_GRACE),
            Some(before) => before.md5_until,
            None => None,
        };
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
            .field("server_names", &self.server_names)
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
