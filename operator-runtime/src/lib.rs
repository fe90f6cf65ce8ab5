//! What both operators share: start and stop, the admin endpoint, leadership, caches, the controller driver,
//! apply and status, and the gRPC channel. It decides nothing about Pgpool.
//!
//! Start, the same in both operators: crypto provider → log → client → admin endpoint → signals → caches
//! (each opens its gate) → lease → controllers and channel. A standby waits for the lease: it is live, ready and
//! has its caches filled, and it writes nothing, which [`fence`] enforces for every request of the client.
//!
//! Stop: no reconcile starts any more (the drain token) → every task is joined, for at most 25 s → the lease is
//! released → the process exits. A second signal skips the waiting. A task that ends before the drain ends the
//! process with a failure, and so does the loss of the lease.
#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod admin;
pub mod admission_policies;
pub mod apply;
pub mod args;
pub mod backoff;
mod budget;
pub mod cache;
pub mod channel;
pub mod claim;
mod client;
pub mod clock;
pub mod controller;
pub mod decode;
mod error_chain;
pub mod events;
pub mod fair;
mod fair_share;
pub mod fence;
mod identity;
mod kind;
pub mod lease;
mod left_out;
pub mod liveness;
pub mod logging;
pub mod metrics;
pub mod named_watches;
pub mod outcome;
pub mod ownership;
pub mod panics;
mod pending_writes;
pub mod presented;
pub mod probe;
mod program;
pub mod readiness;
mod retry_after;
mod runtime;
pub mod scope;
pub mod signals;
pub mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod wake_set;

pub use apply::Applier;
pub use args::CommonArgs;
pub use cache::{Availabilities, Availability, Cache, Demand};
pub use claim::Claim;
pub use client::REQUEST_TIMEOUT;
pub use controller::{Classified, drive};
pub use error_chain::error_chain;
pub use fair_share::{FairShare, Permit};
pub use identity::Identity;
pub use kind::Kind;
pub use left_out::Wording;
pub use named_watches::{Lookup, Named};
pub use outcome::Outcome;
pub use ownership::Ownership;

pub use admission_policies::Policies;
pub use pending_writes::PendingWrites;
pub use presented::PresentedVerifier;
pub use program::main;
pub use runtime::{IntoEnd, Runtime, RuntimeError};
pub use scope::Scope;
pub use wake_set::{WakeSet, Wakes};
