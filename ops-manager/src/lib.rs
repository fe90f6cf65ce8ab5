//! Gives every Pgpool its certificates: asks cert-manager for them, judges what it issues, and tells the provisioner
//! and people how they stand. Carries out what a `PgpoolOpsRequest` asks for.
//!
//! The process is cache → reconcile → API server and holds no other state that matters. It never touches a pod or
//! anything that the provisioner applies; the two meet in the API, and the channel only tells the same sooner.

pub mod args;
pub mod cert_manager;
pub mod certificates;
pub mod flow;
pub mod grpc;
pub mod inquiry;
pub mod metrics;
pub mod ops_requests;
pub mod run;
pub mod verdicts;

#[cfg(test)]
mod fixtures;
