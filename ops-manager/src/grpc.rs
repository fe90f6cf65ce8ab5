//! The services of the channel: thin adapters over types of this process. Nothing here decides, and no key, password or
//! token ever reaches it.

pub(crate) mod convert;
pub(crate) mod flow;
pub(crate) mod verdicts;

use std::sync::Arc;

use operator_runtime::Ownership;
use operator_runtime::ownership::Key;
use tonic::Status;

/// Only the leader has verdicts. A standby rejects calls, so that the next attempt of the client may reach the leader.
#[derive(Clone, Debug)]
pub(crate) struct Leader(Arc<dyn Ownership>);

impl Leader {
    pub(crate) fn new(ownership: Arc<dyn Ownership>) -> Self {
        Self(ownership)
    }

    /// # Errors
    /// `UNAVAILABLE` when this replica does not lead.
    pub(crate) fn check(&self, namespace: &str, name: &str) -> Result<(), Status> {
        let key = Key {
            namespace: Some(namespace).filter(|namespace| !namespace.is_empty()),
            name,
        };
        if self.0.owns(key) {
            Ok(())
        } else {
            Err(Status::unavailable("this replica is not the leader"))
        }
    }
}

/// The end of a stream at the end of the process.
fn stopping() -> Status {
    Status::unavailable("this replica stops")
}

#[cfg(test)]
mod tests;
