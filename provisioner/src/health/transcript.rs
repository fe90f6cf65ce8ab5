//! What was observed on one connection, shared by the layers that observe it. Readable also after the connection failed.

use std::sync::{Arc, Mutex, PoisonError};

use tls_bundle::Failure;

use super::ServedCertificate;
use super::login_guard::PasswordRequest;

/// Bytes of the response that are kept: pgpool's message comes first and is shorter.
const KEPT_BYTES: usize = 512;

/// What one connection has shown so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Transcript(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    answered: bool,
    tls_started: bool,
    leaf: Option<Vec<u8>>,
    response: Vec<u8>,
    refusal: Option<Refusal>,
}

/// Why the operator ended a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The served certificate is another than the pod must have.
    Certificate,
    /// Clients would refuse what is served.
    Unverified(Box<Failure>),
    /// The pod asked for the password in a way that would give it away.
    Password(PasswordRequest),
    /// The pod sent more than a login and a query take.
    TooLong,
}

impl Transcript {
    pub(super) fn record_answer(&self) {
        self.with(|state| state.answered = true);
    }

    pub(super) fn record_tls_start(&self) {
        self.with(|state| state.tls_started = true);
    }

    pub(super) fn record_leaf(&self, der: &[u8]) {
        self.with(|state| state.leaf = Some(der.to_vec()));
    }

    pub(super) fn record_response(&self, bytes: &[u8]) {
        self.with(|state| {
            let room = KEPT_BYTES.saturating_sub(state.response.len());
            state.response.extend(bytes.iter().take(room));
        });
    }

    /// The first refusal counts: it ends the connection.
    pub(super) fn record_refusal(&self, refusal: Refusal) {
        self.with(|state| {
            state.refusal.get_or_insert(refusal);
        });
    }

    /// Whether the server sent anything.
    pub(super) fn is_answered(&self) -> bool {
        self.with(|state| state.answered)
    }

    /// Whether the server agreed to speak TLS.
    pub(super) fn tls_started(&self) -> bool {
        self.with(|state| state.tls_started)
    }

    pub(super) fn served(&self) -> Option<ServedCertificate> {
        self.with(|state| state.leaf.as_deref().map(ServedCertificate::of_der))
    }

    /// The first bytes of the server's response, decrypted if there was a handshake.
    pub(super) fn response(&self) -> Vec<u8> {
        self.with(|state| state.response.clone())
    }

    /// Why the operator ended the connection; `None` when it did not.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.with(|state| state.refusal.clone())
    }

    fn with<T>(&self, access: impl FnOnce(&mut State) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
