//! What was observed on one connection, shared by the layers that observe it. Readable also after the connection failed.

use std::sync::{Arc, Mutex, PoisonError};

use super::ServedCertificate;

/// Bytes of the response that are kept: pgpool's message comes first and is shorter.
const KEPT_BYTES: usize = 512;

/// What one connection has shown so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Transcript(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    tls_started: bool,
    leaf: Option<Vec<u8>>,
    response: Vec<u8>,
}

impl Transcript {
    pub(super) fn record_tls_start(&self) {
        self.with(|state| state.tls_started = true);
    }

    pub(super) fn record_leaf(&self, der: &[u8]) {
        self.with(|state| state.leaf = Some(der.to_vec()));
    }

    pub(super) fn record_response(&self, bytes: &[u8]) {
        self.with(|state| {
            let room = KEPT_BYTES.saturating_sub(state.response.len());
            state.response.extend(&bytes[..bytes.len().min(room)]);
        });
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

    fn with<T>(&self, access: impl FnOnce(&mut State) -> T) -> T {
        access(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
