//! A connection that a pod has not answered yet.
//!
//! While all children of pgpool are taken, connections wait in the queue of its socket until a child is free, also those that
//! were closed by the other side. A new one for each probe would fill the queue and keep clients out. So a probe that is not
//! answered in time keeps its connection, and no other is opened until this one was answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::transcript::Transcript;
use super::{Access, LoginFailure, Probe};

/// The connection of one probe.
pub(crate) struct Unanswered {
    login: BoxFuture<'static, Result<(), LoginFailure>>,
    transcript: Transcript,
    access: Arc<Access>,
}

impl Unanswered {
    pub(super) fn new(
        login: BoxFuture<'static, Result<(), LoginFailure>>,
        transcript: Transcript,
        access: Arc<Access>,
    ) -> Self {
        Self {
            login,
            transcript,
            access,
        }
    }

    /// Waits for the end of the login, but not longer.
    pub(super) async fn within(mut self, time: Duration) -> Probe {
        if let Ok(probe) = tokio::time::timeout(time, self.end()).await {
            return probe;
        }
        let so_far = self.so_far();
        Probe {
            unanswered: Some(self),
            ..so_far
        }
    }

    /// Waits for the end of the login. May be abandoned and called again until it has returned.
    pub(super) async fn end(&mut self) -> Probe {
        let login = (&mut self.login).await;
        Probe::ended(self.transcript.served(), login)
    }

    /// What the connection shows while it waits. A child that accepts a connection answers before it connects to PostgreSQL:
    /// with TLS to the request for it, otherwise with a request for the password.
    pub(super) fn so_far(&self) -> Probe {
        let waited = self.access.timeout;
        let backend = self.access.backend.clone();
        let failure = if self.transcript.is_answered() {
            LoginFailure::Timeout { waited, backend }
        } else {
            LoginFailure::NoFreeChild {
                waited,
                children: self.access.children,
                backend,
            }
        };
        Probe::ended(self.transcript.served(), Err(failure))
    }
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unanswered(…)")
    }
}
