//! Gives every Pgpool its certificates: asks cert-manager for them, judges what it issues, and tells the provisioner
//! and people how they stand. Carries out what a `PgpoolOpsRequest` asks for.
//!
//! The process is cache → reconcile → API server and holds no other state that matters. It never touches a pod or
//! anything that the provisioner applies; the two meet in the API, and the channel only tells the same sooner.

pub mod args;
pub(crate) mod cert_manager;
pub(crate) mod certificates;
pub(crate) mod flow;
pub(crate) mod grpc;
pub(crate) mod inquiry;
pub(crate) mod metrics;
pub(crate) mod ops_requests;
pub mod run;
pub(crate) mod verdicts;

#[cfg(test)]
mod fixtures;
