//! What is true where no pod runs: a real API server, real cert-manager, and the operators as processes.

mod audited_writes;
mod authors;
mod ca_crt;
mod channel;
mod charts;
mod circuit_breaker;
mod client_certificates;
mod consent;
mod crash;
mod damaged_secrets;
mod decoding;
mod deletion;
mod forbidden_backend;
mod hostile;
mod late_cert_manager;
mod lease;
mod name_conflicts;
mod operations;
mod ownership;
mod policies;
mod requested_certificates;
mod scenarios;
mod schema;
mod service_monitor;
mod templates;

use crate::case::Case;

/// Every case of the tier. Those that take longest begin first.
pub(crate) fn cases() -> anyhow::Result<Vec<Case>> {
    let all = [
        crash::cases(),
        late_cert_manager::cases(),
        circuit_breaker::cases(),
        client_certificates::cases(),
        ca_crt::cases(),
        requested_certificates::cases(),
        service_monitor::cases(),
        lease::cases(),
        damaged_secrets::cases(),
        name_conflicts::cases(),
        operations::cases(),
        ownership::cases(),
        deletion::cases(),
        templates::cases(),
        scenarios::cases()?,
        consent::cases(),
        forbidden_backend::cases(),
        channel::cases(),
        schema::cases(),
        decoding::cases(),
        policies::cases(),
        authors::cases(),
        charts::cases(),
        hostile::cases(),
    ];
    Ok(all.into_iter().flatten().collect())
}
