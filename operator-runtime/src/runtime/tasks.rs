//! How tasks end, and which ends are failures.

use tokio::task::{JoinError, JoinSet};
use tower::BoxError;
use tracing::warn;

use super::error::RuntimeError;
use crate::error_chain;

/// What a task may return.
pub trait IntoEnd {
    /// Converts the returned value into a result.
    fn into_end(self) -> Result<(), BoxError>;
}

impl IntoEnd for () {
    fn into_end(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> IntoEnd for Result<(), E> {
    fn into_end(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// A task panicked. The message of the panic is left out, since it may quote what users wrote.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("it panicked, which is a bug; an earlier line of the log has the location")]
pub(super) struct Panicked;

/// The name of a task, and how it ended.
pub(super) type End = (&'static str, Result<(), BoxError>);

/// Waits for the first task that ends.
pub(super) async fn next_end(tasks: &mut JoinSet<End>) -> Result<End, JoinError> {
    match tasks.join_next().await {
        Some(end) => end,
        None => std::future::pending().await,
    }
}

pub(super) fn unexpected(end: Result<End, JoinError>) -> RuntimeError {
    match end {
        Ok((name, Ok(()))) => RuntimeError::TaskEnded(name),
        Ok((name, Err(source))) => RuntimeError::TaskFailed { name, source },
        Err(_) => RuntimeError::TaskAborted,
    }
}

pub(super) async fn join_all(tasks: &mut JoinSet<End>) {
    while let Some(end) = tasks.join_next().await {
        match end {
            Ok((_, Ok(()))) => {}
            Ok((task, Err(error))) => {
                warn!(task, error = %error_chain(error.as_ref()), "a task failed while stopping");
            }
            Err(_) => warn!("a task was aborted while stopping"),
        }
    }
}
