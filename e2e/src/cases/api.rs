//! What is true where no pod runs: a real API server, real cert-manager, and the operators as processes.

mod backend;
mod breaker;
mod channel;
mod crash;
mod damage;
mod deletion;
mod issuers;
mod late;
mod lease;
mod monitor;
mod names;
mod operations;
mod ownership;
mod policies;
mod schema;
mod shape;
mod writes;

use crate::case::Case;

/// Every case of the tier. Those that take longest begin first.
pub fn cases() -> Vec<Case> {
    [
        crash::cases(),
        late::cases(),
        breaker::cases(),
        monitor::cases(),
        lease::cases(),
        damage::cases(),
        names::cases(),
        operations::cases(),
        ownership::cases(),
        deletion::cases(),
        shape::cases(),
        issuers::cases(),
        backend::cases(),
        channel::cases(),
        schema::cases(),
        policies::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
