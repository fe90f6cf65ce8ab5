//! The phase of a request.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Summary of the state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OpsPhase {
    /// Waits for other requests, or has not started.
    Pending,
    /// In progress.
    Progressing,
    /// Done.
    Successful,
    /// Given up.
    Failed,
    /// Superseded before it started.
    Skipped,
    /// Waits for approval.
    WaitingForApproval,
    /// Approved.
    Approved,
    /// Denied.
    Denied,
}
