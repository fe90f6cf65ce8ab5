//! The ends of tasks: which are failures, and how they are told.

use anyhow::anyhow;
use tokio::task::{JoinError, JoinSet};
use tracing::{error, warn};

/// What a task may end with.
pub trait IntoEnd {
    /// Turns the end into a result.
    fn into_end(self) -> anyhow::Result<()>;
}

impl IntoEnd for () {
    fn into_end(self) -> anyhow::Result<()> {
        Ok(())
    }
}

impl<E: Into<anyhow::Error>> IntoEnd for Result<(), E> {
    fn into_end(self) -> anyhow::Result<()> {
        self.map_err(Into::into)
    }
}

/// The name of a task, and how it ended.
pub(super) type End = (&'static str, anyhow::Result<()>);

/// Waits for the first task that ends.
pub(super) async fn next_end(tasks: &mut JoinSet<End>) -> Result<End, JoinError> {
    match tasks.join_next().await {
        Some(end) => end,
        None => std::future::pending().await,
    }
}

pub(super) fn unexpected(end: Result<End, JoinError>) -> anyhow::Error {
    match end {
        Ok((name, Ok(()))) => anyhow!("the task {name} ended, which it must not"),
        Ok((name, Err(error))) => error.context(format!("the task {name} failed")),
        Err(error) => anyhow!(error).context("a task panicked"),
    }
}

pub(super) async fn join_all(tasks: &mut JoinSet<End>) {
    while let Some(end) = tasks.join_next().await {
        match end {
            Ok((_, Ok(()))) => {}
            Ok((task, Err(error))) => warn!(task, "ended while stopping: {error:#}"),
            Err(error) => error!(%error, "a task panicked while stopping"),
        }
    }
}
