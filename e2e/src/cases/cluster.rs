//! What is true where pods run: real pgpool, a real PostgreSQL, and the operators as Deployments.

mod authorities;
mod damage;
mod flow;
mod init;
mod metrics;
mod modes;
mod operations;
mod operators;
mod outage;
mod pods;
mod rights;
mod rollout;
mod rotation;
mod samples;
mod settings;
mod users;
mod waiting;

use crate::case::Case;

/// Every case of the tier.
pub fn cases() -> Vec<Case> {
    [
        flow::cases(),
        outage::cases(),
        pods::cases(),
        modes::cases(),
        init::cases(),
        waiting::cases(),
        metrics::cases(),
        rights::cases(),
        rotation::cases(),
        samples::cases(),
        damage::cases(),
        rollout::cases(),
        authorities::cases(),
        operations::cases(),
        operators::cases(),
        settings::cases(),
        users::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
