//! What is true where pods run: real pgpool, a real PostgreSQL, and the operators as Deployments.

mod ca_changes;
mod ca_crt;
mod damaged_secret;
mod init;
mod metrics;
mod modes;
mod operations;
mod operators;
mod pods;
mod postgres_outage;
mod rbac;
mod rollout;
mod rotation;
mod samples;
mod settings;
mod users;
mod verified_clients;
mod waiting_tools;

use crate::case::Case;

pub(crate) fn cases() -> Vec<Case> {
    [
        verified_clients::cases(),
        postgres_outage::cases(),
        pods::cases(),
        modes::cases(),
        init::cases(),
        waiting_tools::cases(),
        metrics::cases(),
        rbac::cases(),
        rotation::cases(),
        samples::cases(),
        damaged_secret::cases(),
        rollout::cases(),
        ca_changes::cases(),
        ca_crt::cases(),
        operations::cases(),
        operators::cases(),
        settings::cases(),
        users::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
