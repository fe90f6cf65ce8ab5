//! Why a login failed, for people and for metrics.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use shared_types::conditions::Reason;
use shared_types::{ports, text};
use tls_bundle::{Failure, Fingerprint};

use super::AddressRefusal;
use super::connector::TlsSetupError;
use super::login_guard::PasswordRequest;

/// Why a login failed. The text appears in the status, so it never contains a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginFailure {
    #[error("port {} cannot be reached: {source}", ports::PGPOOL)]
    Unreachable { source: io::Error },
    #[error(
        "port {} accepted no connection within {} s: all children of pgpool and the places in its queue are taken, or \
         a NetworkPolicy keeps the operator out",
        ports::PGPOOL,
        .0.as_secs()
    )]
    NoConnection(Duration),
    #[error(transparent)]
    Address(#[from] AddressRefusal),
    #[error(
        "mounts Secret {secret}, which no longer exists or has no certificate: what the pod must serve is unknown, so no login \
         was sent, and it could not restart; delete the pod"
    )]
    CertificateUnknown { secret: String },
    #[error(
        "serves the certificate {served} instead of {expected} from Secret {secret}, so no login was sent; delete the pod, and if \
         that does not help find out what answers at its address"
    )]
    WrongCertificate {
        served: Fingerprint,
        expected: Fingerprint,
        secret: String,
    },
    /// By clients with the `sslMode` of the Pgpool.
    #[error(
        "serves the certificate from Secret {secret}, which clients refuse, so no login was sent: {failure}"
    )]
    Unverified { failure: Box<Failure>, secret: String },
    #[error(
        "{0}, which the operator does not answer; delete the pod, and if that does not help find out what answers at its address"
    )]
    PasswordRefused(PasswordRequest),
    #[error(
        "did not prove that it knows the password ({reason}); delete the pod, and if that does not help find out what answers \
         at its address"
    )]
    NotAuthentic { reason: String },
    #[error(
        "sends far more than a login and a query take; delete the pod, and find out what answers at its address"
    )]
    TooLong,
    #[error(transparent)]
    TlsSetup(#[from] TlsSetupError),
    /// Pgpool declines TLS when it could not use its certificate at start.
    #[error("pgpool answers without TLS: it could not use its certificate; see its log")]
    PlainText,
    #[error("the TLS handshake failed: {reason}")]
    Handshake { reason: String },
    /// Pgpool, or PostgreSQL behind it, rejected the login or the query.
    #[error(
        "the login was rejected: {}; {}",
        without_user(answer, user),
        how_to_fix(code, backend, login_source)
    )]
    Rejected {
        user: String,
        /// The message of pgpool.
        answer: String,
        /// The Secret with user and password, as `namespace/name`.
        login_source: String,
        /// See [`Access::backend`](super::Access::backend).
        backend: String,
        /// The SQLSTATE of the answer: distinguishes a wrong password from a PostgreSQL that is starting.
        code: String,
    },
    #[error(
        "{backend} rejects pgpool before it asks for a password; see its log for the reason: if it is `connection \
         requires a valid client certificate`, add a line to pg_hba.conf without `cert` and `clientcert` that matches \
         the pods, since pgpool has no certificate to present; otherwise add any line that matches the pods, or check \
         that PostgreSQL has started and has free connections"
    )]
    BackendRejects { backend: String },
    #[error(
        "pgpool does not trust the certificate of {backend}: set `spec.clientConfig.caBundle` of the AppBinding to the \
         CA that issued it"
    )]
    BackendUntrusted { backend: String },
    /// The connection broke after the TLS handshake.
    #[error("the connection broke during the login: {reason}; is PostgreSQL running?")]
    Broken { reason: String },
    /// Login and query succeeded; writes would fail.
    #[error(
        "{backend} accepts no writes: it is a standby, or set to read-only; if that is intended, set \
         `spec.healthChecker.disableWriteCheck` to true"
    )]
    ReadOnly { backend: String },
    /// The connection waits in the queue of pgpool.
    #[error(
        "no child of pgpool was free within {} s: clients have {} (`num_init_children`), and further ones wait until one \
         leaves; raise `num_init_children` in `spec.configuration` or `spec.replicas`, as far as `max_connections` of {backend} \
         allows, or let clients leave sooner",
        .waited.as_secs(),
        .children.map_or_else(|| "all of them".to_owned(), |it| format!("all {it}"))
    )]
    NoFreeChild {
        waited: Duration,
        /// `None` where the number must not be shown.
        children: Option<u32>,
        backend: String,
    },
    /// A child of pgpool has the connection.
    #[error(
        "pgpool answered, but no login was complete within {} s: {backend} does not answer, or answers too slowly",
        .waited.as_secs()
    )]
    Timeout { waited: Duration, backend: String },
}

impl LoginFailure {
    /// The kind of failure, independent of its details; a label of metrics.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::NoConnection(_) => "no-connection",
            Self::Address(_) => "address-refused",
            Self::CertificateUnknown { .. } => "certificate-unknown",
            Self::WrongCertificate { .. } => "wrong-certificate",
            Self::Unverified { .. } => "unverified",
            Self::PasswordRefused(_) => "password-refused",
            Self::NotAuthentic { .. } => "not-authentic",
            Self::TooLong => "too-long",
            Self::TlsSetup(_) => "unusable",
            Self::PlainText => "plain-text",
            Self::Handshake { .. } => "handshake",
            Self::Rejected { .. } => "rejected",
            Self::BackendRejects { .. } => "backend-rejects",
            Self::BackendUntrusted { .. } => "backend-untrusted",
            Self::Broken { .. } => "broken",
            Self::ReadOnly { .. } => "read-only",
            Self::NoFreeChild { .. } => "no-free-child",
            Self::Timeout { .. } => "timeout",
        }
    }

    /// The reason that conditions report for this failure, if it has one of its own.
    pub(crate) fn reason(&self) -> Option<Reason> {
        Some(match self {
            Self::Address(_) => Reason::PodAddressRefused,
            Self::CertificateUnknown { .. }
            | Self::WrongCertificate { .. }
            | Self::Unverified { .. }
            | Self::PlainText => Reason::PodsNotServing,
            Self::PasswordRefused(_) => Reason::PasswordRequestRefused,
            Self::NotAuthentic { .. } => Reason::PodNotAuthentic,
            Self::TooLong => Reason::PodResponseInvalid,
            Self::NoFreeChild { .. } => Reason::NoFreeChild,
            Self::Timeout { .. } => Reason::BackendNotAnswering,
            Self::BackendRejects { .. } => Reason::BackendRejectsPool,
            Self::BackendUntrusted { .. } => Reason::BackendCertificateUntrusted,
            Self::Unreachable { .. }
            | Self::NoConnection(_)
            | Self::TlsSetup(_)
            | Self::Handshake { .. }
            | Self::Rejected { .. }
            | Self::Broken { .. }
            | Self::ReadOnly { .. } => return None,
        })
    }

    /// Identifies the failure: its kind, and the SQLSTATE where the server sent one.
    pub(crate) fn fault(&self) -> Cow<'static, str> {
        match self {
            Self::Rejected { code, .. } => format!("{} {code}", self.kind()).into(),
            Self::Address(refusal) => format!("{} {refusal}", self.kind()).into(),
            Self::PasswordRefused(request) => format!("{} {request}", self.kind()).into(),
            Self::Unverified { failure, .. } => format!("{} {}", self.kind(), failure.reason()).into(),
            _ => self.kind().into(),
        }
    }
}

/// The message of pgpool or PostgreSQL in one short line, without the name of the user, which is taken from a Secret.
fn without_user(answer: &str, user: &str) -> String {
    /// Shorter names occur in any text.
    const SHORTEST: usize = 4;
    const LONGEST: usize = 300;
    let everywhere = user.len() >= SHORTEST && user != "postgres";
    let answer = text::without_value(answer, user, "(name not shown)", everywhere);
    text::one_line(answer.chars().take(LONGEST).collect())
}

/// The likelier fix first. SQLSTATE class 28 is about who logs in; with any other, a PostgreSQL that pgpool cannot reach
/// is far more likely than a wrong password.
fn how_to_fix(code: &str, backend: &str, login_source: &str) -> String {
    if code.starts_with("28") {
        format!("correct Secret {login_source}: it must contain a user and password that {backend} accepts")
    } else {
        format!(
            "check that {backend} is running and accepts connections; if it does, correct Secret {login_source}"
        )
    }
}
