//! Gives every Pgpool its certificates: requests them from cert-manager, verifies what it issues, and publishes the
//! verdict to the provisioner and to people. Carries out `PgpoolOpsRequest`s.
//!
//! The process reads caches and writes to the API server; it holds no other state that matters. It never touches a pod or
//! anything that the provisioner applies: the two operators meet in the API, and the channel only delivers the same
//! information sooner.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod args;
pub mod run;

mod ca_index;
mod caches;
mod cert_manager;
mod certificates;
mod claim;
mod context;
mod flow;
mod flow_source;
mod grpc;
mod metrics;
mod ops_requests;
mod public_part;
mod verdicts;

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod fixtures;
