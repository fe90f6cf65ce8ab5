//! Logs in to one pod and asks one question, over a connection that shows the served certificate on the way.
//!
//! One TCP connection to the pod's own address; a second one where the pod does not know yet how clients log in now. Writes nothing anywhere, in the user's database least of all: whether
//! PostgreSQL takes writes is asked, not tried.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use operator_runtime::error_chain;
use rustls::crypto::CryptoProvider;
use shared_types::{SslMode, ports};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::SslMode as Negotiation;

use super::served::{Connector, Seen, Unusable};
use super::tap::{Estranged, Tap};
use super::{Access, Pod, Probe, Prober};

#[cfg(test)]
mod tests;

/// The database that every PostgreSQL has.
const DATABASE: &str = "postgres";

/// The kind of a failure that PostgreSQL causes by turning pgpool down.
pub(crate) const BACKEND_REFUSES: &str = "backend-refuses";
/// The kind of a failure that PostgreSQL's certificate causes.
pub(crate) const BACKEND_UNTRUSTED: &str = "backend-untrusted";

/// Whether a query goes through, and no more.
const ANSWERS: &str = "SELECT 1";
/// Whether writes would go through: `on` on a standby, and where an administrator or a full disk has made PostgreSQL
/// read-only. Pgpool sends several statements at once to the primary, whatever it does with single ones; seen with
/// 4.3.5, also with `allow_sql_comments`, which rules out a comment for the purpose.
const TAKES_WRITES: &str = "BEGIN; SHOW transaction_read_only; ROLLBACK";

/// Why a login did not go through. What a user may read in the status: never a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginFailure {
    /// Nobody listens.
    #[error("port {} does not answer: {source}", ports::PGPOOL)]
    Unreachable {
        /// What the network says.
        source: io::Error,
    },
    /// TLS cannot be tried.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// Pgpool says that it has no TLS: it falls back to plain text when it cannot use its certificate.
    #[error("pgpool answers without TLS: it could not use its certificate, its log says why")]
    PlainText,
    /// The handshake failed.
    #[error("the TLS handshake fails: {reason}")]
    Handshake {
        /// What TLS says.
        reason: String,
    },
    /// Pgpool, or PostgreSQL behind it, turned the login or the query down.
    #[error(
        "the login of {user:?} is turned down: {answer}; {}",
        cure(code, backend, login_source)
    )]
    TurnedDown {
        /// Who tried to log in.
        user: String,
        /// The words of pgpool.
        answer: String,
        /// Where user and password come from.
        login_source: String,
        /// The PostgreSQL behind pgpool, and the `AppBinding` that names it.
        backend: String,
        /// The SQLSTATE of the answer: it tells a wrong password from a PostgreSQL that is starting.
        code: String,
    },
    /// PostgreSQL turns pgpool itself down.
    #[error(
        "{backend} turns pgpool down before it asks for a password; its log says why: if that is `connection requires \
         a valid client certificate`, let a line of pg_hba.conf without `cert` and `clientcert` fit the pods, since \
         pgpool has no certificate to show; otherwise let a line fit them at all, or see that PostgreSQL has started \
         and is not full"
    )]
    BackendRefuses {
        /// The PostgreSQL behind pgpool, and the `AppBinding` that names it.
        backend: String,
    },
    /// Pgpool ends the handshake with PostgreSQL.
    #[error(
        "pgpool does not trust the certificate of {backend}: set `spec.clientConfig.caBundle` of the AppBinding to the \
         authority that issued it"
    )]
    BackendUntrusted {
        /// The PostgreSQL behind pgpool, and the `AppBinding` that names it.
        backend: String,
    },
    /// The connection broke after the handshake.
    #[error("the connection breaks during the login: {reason}; is PostgreSQL up?")]
    Broken {
        /// What was seen.
        reason: String,
    },
    /// Login and query went through; writes would not.
    #[error(
        "{backend} takes no writes: it is a standby, or set to read-only; if that is meant, set \
         `spec.healthChecker.disableWriteCheck` to true"
    )]
    ReadOnly {
        /// The PostgreSQL behind pgpool, and the `AppBinding` that names it.
        backend: String,
    },
    /// No answer in time.
    #[error("no answer to a login within {} s: all children of pgpool are busy, or PostgreSQL hangs", .0.as_secs())]
    Timeout(Duration),
}

impl LoginFailure {
    /// The kind of failure, the same for every wording.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Unusable(_) => "unusable",
            Self::PlainText => "plain-text",
            Self::Handshake { .. } => "handshake",
            Self::TurnedDown { .. } => "turned-down",
            Self::BackendRefuses { .. } => BACKEND_REFUSES,
            Self::BackendUntrusted { .. } => BACKEND_UNTRUSTED,
            Self::Broken { .. } => "broken",
            Self::ReadOnly { .. } => "read-only",
            Self::Timeout(_) => "timeout",
        }
    }

    /// What tells one failure from another: the kind, and where the server has said so the reason.
    pub(crate) fn fault(&self) -> Cow<'static, str> {
        match self {
            Self::TurnedDown { code, .. } => format!("{} {code}", self.kind()).into(),
            _ => self.kind().into(),
        }
    }
}

/// What helps, most likely first. Class 28 of SQLSTATE is about who logs in; anything else is pgpool without a PostgreSQL
/// far more often than a wrong password.
fn cure(code: &str, backend: &str, login_source: &str) -> String {
    if code.starts_with("28") {
        format!("correct Secret {login_source}, which has to hold a user and password that {backend} accepts")
    } else {
        format!("see that {backend} runs and accepts connections; if it does, correct Secret {login_source}")
    }
}

/// Asks real pods.
pub(crate) struct Network {
    provider: Arc<CryptoProvider>,
    port: u16,
}

impl Network {
    /// Asks pods on pgpool's port, with this cryptography.
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            port: ports::PGPOOL,
        }
    }

    /// The same on another port.
    pub(crate) fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

impl Prober for Network {
    fn probe(&self, pod: Pod, access: Arc<Access>) -> BoxFuture<'static, Probe> {
        let (provider, port) = (self.provider.clone(), self.port);
        async move {
            let address = (pod.ip, port);
            let mode = access.mode(&pod);
            let begin = Instant::now();
            let probe = once(address, &access, mode, &provider, access.timeout).await;
            let Some(former) = access.former.as_ref().filter(|_| wants_certificate(&probe)) else {
                return probe;
            };
            let access = Access {
                client: Some(former.clone()),
                ..Access::clone(&access)
            };
            let left = access.timeout.saturating_sub(begin.elapsed());
            once(address, &access, mode, &provider, left).await
        }
        .boxed()
    }
}

/// Whether a pod turned a login down for want of a certificate, in the words of pgpool.
fn wants_certificate(probe: &Probe) -> bool {
    matches!(&probe.login, Err(LoginFailure::TurnedDown { answer, .. }) if answer.contains("CERT authentication failed"))
}

/// One connection.
async fn once(
    address: (IpAddr, u16),
    access: &Access,
    mode: SslMode,
    provider: &Arc<CryptoProvider>,
    limit: Duration,
) -> Probe {
    let (connector, seen) = match Connector::new(access, mode, provider) {
        Ok(prepared) => prepared,
        Err(unusable) => {
            return Probe {
                served: None,
                login: Err(unusable.into()),
            };
        }
    };
    let asked = tokio::time::timeout(limit, ask(address, access, mode, connector, &seen)).await;
    let login = asked.unwrap_or(Err(LoginFailure::Timeout(access.timeout)));
    Probe {
        served: seen.served(),
        login,
    }
}

async fn ask(
    address: (IpAddr, u16),
    access: &Access,
    mode: SslMode,
    connector: Connector,
    seen: &Seen,
) -> Result<(), LoginFailure> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|source| LoginFailure::Unreachable { source })?;
    let explain = |error: &tokio_postgres::Error| explain(error, access, mode, seen);
    let mut config = tokio_postgres::Config::new();
    config
        .user(&access.login.user)
        .password(access.login.password.expose())
        .dbname(DATABASE)
        .application_name(shared_types::names::PROVISIONER)
        .ssl_mode(match mode {
            SslMode::Disable => Negotiation::Disable,
            // A pod that ought to offer TLS and does not is a finding, whatever clients are allowed to do.
            SslMode::Allow | SslMode::Prefer | SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                Negotiation::Require
            }
        });
    let (client, connection) = config
        .connect_raw(
            Tap {
                stream,
                // Below TLS there is nothing to be understood.
                seen: (mode == SslMode::Disable).then(|| seen.clone()),
            },
            connector,
        )
        .await
        .map_err(|error| explain(&error))?;
    let question = if access.writes { TAKES_WRITES } else { ANSWERS };
    let query = async {
        let answer = client.simple_query(question).await;
        // Lets the connection say goodbye, so that pgpool logs no broken client.
        drop(client);
        answer
    };
    let (answer, end) = futures::join!(query, connection);
    let answer = answer.map_err(|error| explain(&error))?;
    end.map_err(|error| explain(&error))?;
    if access.writes && says_on(&answer) {
        let backend = access.backend.clone();
        return Err(LoginFailure::ReadOnly { backend });
    }
    Ok(())
}

fn says_on(answer: &[SimpleQueryMessage]) -> bool {
    answer
        .iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("on")))
}

fn explain(error: &tokio_postgres::Error, access: &Access, mode: SslMode, seen: &Seen) -> LoginFailure {
    let backend = access.backend.clone();
    match Estranged::read(&seen.heard()) {
        Some(Estranged::Refused) => return LoginFailure::BackendRefuses { backend },
        Some(Estranged::Untrusted) => return LoginFailure::BackendUntrusted { backend },
        None => {}
    }
    if let Some(answer) = error.as_db_error() {
        let detail = answer
            .detail()
            .map(|detail| format!(" ({detail})"))
            .unwrap_or_default();
        return LoginFailure::TurnedDown {
            user: access.login.user.clone(),
            answer: format!("{}{detail}", answer.message()),
            login_source: access.login_source.clone(),
            backend,
            code: answer.code().code().to_owned(),
        };
    }
    let cause = error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>());
    let tls = mode != SslMode::Disable;
    match cause {
        // The library has its own words for a server that declines TLS; nothing else fails there without a cause in
        // the network.
        None if tls && !seen.begun() => LoginFailure::PlainText,
        Some(cause) if is_tls(cause) => LoginFailure::Handshake {
            reason: cause.to_string(),
        },
        Some(cause) => LoginFailure::Broken {
            reason: cause.to_string(),
        },
        None => LoginFailure::Broken {
            reason: error_chain(error),
        },
    }
}

/// Whether TLS, not the network, is what failed.
fn is_tls(cause: &io::Error) -> bool {
    cause
        .get_ref()
        .is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}
