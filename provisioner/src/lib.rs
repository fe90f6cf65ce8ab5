//! Runs Pgpool-II: creates everything a `Pgpool` needs in the cluster, proves that its pods serve, and says in
//! its status where it stands.
//!
//! The process is cache → reconcile → API server and holds no other state that matters: it can be killed between
//! any two lines, and the channel to the other operator can be cut, without changing where a `Pgpool` ends up.

pub mod args;
pub mod fleet;
pub mod grpc;
pub mod health;
pub mod metrics;
pub mod peer;
pub mod pgpool;
pub mod prometheus;
pub mod rotations;
pub mod run;

#[cfg(test)]
mod testing;
