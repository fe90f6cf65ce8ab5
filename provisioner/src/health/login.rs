//! Logs in to one pod and runs one query, over a connection that records the served certificate.
//!
//! One TCP connection to the IP of the pod; a second one where the pod still expects the previous client certificate.
//! Writes nothing, least of all to the user's database: whether PostgreSQL accepts writes is queried, not tried.

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

use super::connector::Connector;
use super::sniffer::{BackendRejection, ResponseSniffer};
use super::transcript::Transcript;
use super::{Access, LoginFailure, Pod, Probe, Prober};

#[cfg(test)]
mod tests;

/// A database that every PostgreSQL has.
const DATABASE: &str = "postgres";

const QUERY: &str = "SELECT 1";
/// Shows whether writes would succeed: `on` on a standby, and where an administrator or a full disk has made PostgreSQL
/// read-only. A transaction, since pgpool sends several statements in one query to the primary, wherever it may send
/// single ones; verified with 4.3.5, also with `allow_sql_comments`, which rules out a comment for the purpose.
const WRITE_CHECK: &str = "BEGIN; SHOW transaction_read_only; ROLLBACK";

/// Probes pods over the network.
pub(crate) struct NetworkProber {
    provider: Arc<CryptoProvider>,
    port: u16,
}

impl NetworkProber {
    /// Connects to the port of pgpool.
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self {
            provider,
            port: ports::PGPOOL,
        }
    }

    #[cfg(test)]
    fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

impl Prober for NetworkProber {
    fn probe(&self, pod: Pod, access: Arc<Access>) -> BoxFuture<'static, Probe> {
        let attempt = Attempt {
            address: (pod.ip, self.port),
            mode: access.mode(&pod),
            provider: self.provider.clone(),
            access,
        };
        attempt.probe().boxed()
    }
}

/// A probe of one pod.
#[derive(Clone)]
struct Attempt {
    address: (IpAddr, u16),
    mode: SslMode,
    provider: Arc<CryptoProvider>,
    access: Arc<Access>,
}

impl Attempt {
    async fn probe(self) -> Probe {
        let started = Instant::now();
        let timeout = self.access.timeout;
        let probe = self.connect(timeout).await;
        let Some(previous) = &self.access.previous_client_certificate else {
            return probe;
        };
        if !demands_certificate(&probe) {
            return probe;
        }
        let access = Access {
            client: Some(previous.clone()),
            ..Access::clone(&self.access)
        };
        let retry = Self {
            access: Arc::new(access),
            ..self
        };
        retry.connect(timeout.saturating_sub(started.elapsed())).await
    }

    /// Makes one connection.
    async fn connect(&self, time_left: Duration) -> Probe {
        let (connector, transcript) = match Connector::new(&self.access, self.mode, &self.provider) {
            Ok(prepared) => prepared,
            Err(error) => {
                return Probe {
                    served: None,
                    login: Err(error.into()),
                };
            }
        };
        let login = match tokio::time::timeout(time_left, self.log_in(connector, &transcript)).await {
            Ok(login) => login,
            Err(_) => Err(LoginFailure::Timeout(self.access.timeout)),
        };
        Probe {
            served: transcript.served(),
            login,
        }
    }

    async fn log_in(&self, connector: Connector, transcript: &Transcript) -> Result<(), LoginFailure> {
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|source| LoginFailure::Unreachable { source })?;
        let stream = ResponseSniffer {
            stream,
            // Under TLS, the sniffer of the connector sees the decrypted response.
            transcript: (self.mode == SslMode::Disable).then(|| transcript.clone()),
        };
        let to_failure = |error: tokio_postgres::Error| self.failure(&error, transcript);
        let (client, connection) = self
            .postgres_config()
            .connect_raw(stream, connector)
            .await
            .map_err(to_failure)?;
        let writes = self.access.writes;
        let query = async {
            let rows = client
                .simple_query(if writes { WRITE_CHECK } else { QUERY })
                .await;
            // Ends the session properly, so that pgpool logs no broken client.
            drop(client);
            rows
        };
        let (rows, end) = futures::join!(query, connection);
        let rows = rows.map_err(to_failure)?;
        end.map_err(to_failure)?;
        if writes && is_read_only(&rows) {
            let backend = self.access.backend.clone();
            return Err(LoginFailure::ReadOnly { backend });
        }
        Ok(())
    }

    fn postgres_config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .user(&self.access.login.user)
            .password(self.access.login.password.expose())
            .dbname(DATABASE)
            .application_name(shared_types::names::PROVISIONER)
            .ssl_mode(match self.mode {
                SslMode::Disable => Negotiation::Disable,
                // A pod that should offer TLS and does not is a failure, even where clients may connect without.
                SslMode::Allow
                | SslMode::Prefer
                | SslMode::Require
                | SslMode::VerifyCa
                | SslMode::VerifyFull => Negotiation::Require,
            });
        config
    }

    fn failure(&self, error: &tokio_postgres::Error, transcript: &Transcript) -> LoginFailure {
        let backend = self.access.backend.clone();
        match BackendRejection::parse(&transcript.response()) {
            Some(BackendRejection::Error) => return LoginFailure::BackendRejects { backend },
            Some(BackendRejection::UntrustedCertificate) => {
                return LoginFailure::BackendUntrusted { backend };
            }
            None => {}
        }
        if let Some(answer) = error.as_db_error() {
            let detail = answer
                .detail()
                .map(|detail| format!(" ({detail})"))
                .unwrap_or_default();
            return LoginFailure::Rejected {
                user: self.access.login.user.clone(),
                answer: format!("{}{detail}", answer.message()),
                login_source: self.access.login_source.clone(),
                backend,
                code: answer.code().code().to_owned(),
            };
        }
        let cause = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        match cause {
            // tokio-postgres reports a server that declines TLS without an I/O error; nothing else fails like this
            // before the handshake.
            None if self.mode != SslMode::Disable && !transcript.tls_started() => LoginFailure::PlainText,
            Some(cause) if is_tls_error(cause) => LoginFailure::Handshake {
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
}

/// Whether pgpool rejected the login because no client certificate was presented.
fn demands_certificate(probe: &Probe) -> bool {
    matches!(&probe.login, Err(LoginFailure::Rejected { answer, .. }) if answer.contains("CERT authentication failed"))
}

fn is_read_only(rows: &[SimpleQueryMessage]) -> bool {
    rows.iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("on")))
}

/// Whether TLS failed, and not the network.
fn is_tls_error(cause: &io::Error) -> bool {
    cause
        .get_ref()
        .is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
}
