//! Logs in to one pod and runs one query, over a connection that records the served certificate.
//!
//! With TLS, the pod proves first that it has the key of the certificate that it was given. Without TLS nothing proves who
//! answers, so only such requests for the password are answered whose answers do not contain it. Time and bytes are limited.
//!
//! One TCP connection to the IP of the pod; a second one where the pod still expects the previous client certificate.
//! Writes nothing, least of all to the user's database: whether PostgreSQL accepts writes is queried, not tried.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt, stream};
use operator_runtime::error_chain;
use rustls::crypto::CryptoProvider;
use shared_types::{SslMode, ports, text};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::SslMode as Negotiation;

use super::connector::Connector;
use super::sniffer::{BackendRejection, ResponseSniffer};
use super::transcript::{Refusal, Transcript};
use super::unanswered::Unanswered;
use super::{Access, ExpectedCertificate, LoginFailure, Pod, PodIdentity, Probe, Prober};

#[cfg(test)]
mod tests;

/// How long a connection may take to open. A packet that was lost is sent again after one second; somebody who drops all
/// packets must not hold a connection for longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

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
            port: self.port,
            mode: access.mode(&pod),
            provider: self.provider.clone(),
            pod: Arc::new(pod),
            access,
        };
        attempt.probe().boxed()
    }
}

/// A probe of one pod.
#[derive(Clone)]
struct Attempt {
    pod: Arc<Pod>,
    port: u16,
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
        let prepared = self.expected().and_then(|expected| {
            Connector::new(&self.access, expected, self.mode, &self.provider).map_err(LoginFailure::from)
        });
        let (connector, transcript) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Probe::ended(None, Err(failure)),
        };
        let login = self.clone().log_in(connector, transcript.clone()).boxed();
        Unanswered::new(login, transcript, self.access.clone())
            .within(time_left)
            .await
    }

    /// The certificate that the pod must serve; `None` for a pod without TLS.
    fn expected(&self) -> Result<Option<ExpectedCertificate>, LoginFailure> {
        if let Some(refusal) = self.pod.address_refusal {
            return Err(refusal.into());
        }
        match &self.pod.identity {
            PodIdentity::PlainText => Ok(None),
            PodIdentity::Certificate { certificate, .. } => Ok(Some(certificate.clone())),
            PodIdentity::Unknown { secret } => Err(LoginFailure::CertificateUnknown {
                secret: secret.clone(),
            }),
        }
    }

    async fn log_in(self, connector: Connector, transcript: Transcript) -> Result<(), LoginFailure> {
        let connecting = TcpStream::connect((self.pod.ip, self.port));
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|source| LoginFailure::Unreachable { source })?,
            Err(_) => return Err(LoginFailure::NoConnection(CONNECT_TIMEOUT)),
        };
        let stream = if self.mode == SslMode::Disable {
            ResponseSniffer::guarding(stream, transcript.clone(), self.access.answers_md5())
        } else {
            // The connector guards what TLS protects.
            ResponseSniffer::counting(stream, transcript.clone())
        };
        let to_failure = |error: tokio_postgres::Error| self.failure(&error, &transcript);
        let (client, mut connection) = self
            .postgres_config()
            .connect_raw(stream, connector)
            .await
            .map_err(to_failure)?;
        let writes = self.access.writes;
        let query = async {
            let rows = client
                .simple_query(if writes { WRITE_CHECK } else { QUERY })
                .await;
            // Ends the session properly, so that pgpool does not log a lost client connection.
            drop(client);
            rows
        };
        // Read as messages, since the connection as a future logs the notices that a server sends.
        let messages = stream::poll_fn(|cx| connection.poll_message(cx));
        let end = messages.try_for_each(|_| std::future::ready(Ok(())));
        let (rows, end) = futures::join!(query, end);
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
        if let Some(refusal) = transcript.refusal() {
            return self.refused(refusal, transcript);
        }
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
                answer: quoted(&format!("{}{detail}", answer.message())),
                login_source: self.access.login_source.clone(),
                backend,
                code: sqlstate(answer.code().code()),
            };
        }
        if is_authentication_error(error) {
            return LoginFailure::NotAuthentic {
                reason: quoted(&error_chain(error)),
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
                reason: quoted(&cause.to_string()),
            },
            Some(cause) => LoginFailure::Broken {
                reason: quoted(&cause.to_string()),
            },
            None => LoginFailure::Broken {
                reason: quoted(&error_chain(error)),
            },
        }
    }

    fn refused(&self, refusal: Refusal, transcript: &Transcript) -> LoginFailure {
        match (refusal, &self.pod.identity, transcript.served()) {
            (Refusal::Password(request), ..) => LoginFailure::PasswordRefused(request),
            (Refusal::Certificate, PodIdentity::Certificate { certificate, secret }, Some(served)) => {
                LoginFailure::WrongCertificate {
                    served: served.fingerprint,
                    expected: certificate.leaf,
                    secret: secret.clone(),
                }
            }
            (Refusal::Unverified(failure), PodIdentity::Certificate { secret, .. }, _) => {
                LoginFailure::Unverified {
                    failure,
                    secret: secret.clone(),
                }
            }
            // A pod without certificates is not asked for TLS, so a certificate that it shows has a counterpart above.
            (Refusal::Certificate | Refusal::Unverified(_) | Refusal::TooLong, ..) => LoginFailure::TooLong,
        }
    }
}

/// What a server sent, so that it fits into a status: the beginning, in one line.
fn quoted(sent: &str) -> String {
    const LONGEST: usize = 500;
    text::one_line(text::first_chars(sent, LONGEST))
}

/// An error code of PostgreSQL, or a placeholder for what is none: five letters and digits.
fn sqlstate(code: &str) -> String {
    let is_code = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_code { code } else { "XXXXX" }.to_owned()
}

/// Whether the exchange about the password failed, such as by a server that could not prove that it knows the password.
fn is_authentication_error(error: &tokio_postgres::Error) -> bool {
    // tokio-postgres keeps the kind to itself, and this is all that it prints for it.
    error.to_string().starts_with("authentication error")
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
