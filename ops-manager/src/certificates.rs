//! The controller `certificates`: gives each Pgpool its certificates, verifies them, and publishes the verdict.

pub(crate) mod apply;
pub(crate) mod build;
pub(crate) mod decide;
mod error;
pub(crate) mod observe;
mod own_status;
pub(crate) mod pending_writes;
mod publish;
pub(crate) mod report;
pub(crate) mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Outcome, clock};
use shared_types::Pgpool;

use crate::context::Context;
use error::Error;
use observe::Observed;

/// Reconciles the certificates of one Pgpool.
///
/// # Errors
/// When the API server cannot be reached. What is missing or wrong is published instead.
pub(crate) async fn reconcile(pgpool: Arc<Pgpool>, context: Arc<Context>) -> Result<Outcome, Error> {
    let key = ObjectRef::from_obj(pgpool.as_ref());
    if pgpool.metadata.deletion_timestamp.is_some() {
        // The garbage collector deletes what it owns.
        context.forget_pgpool(&key);
        return Ok(Outcome::Converged);
    }
    observe::subscribe(&context.caches, &pgpool);
    let observed = observe::observe(&context.caches, &pgpool); // caches
    let outcome = converge(&pgpool, observed, &context, clock::now()).await;
    // It may have been deleted meanwhile, and then it was forgotten too early.
    context.forget_pgpool_if_gone(&key);
    outcome
}

async fn converge(
    pgpool: &Pgpool,
    mut observed: Observed,
    context: &Context,
    now: Timestamp,
) -> Result<Outcome, Error> {
    observed.recall(&context.memory, pgpool); // memory
    let validated = validate::validate(pgpool, &observed, &context.cluster_domain); // pure
    let decision = decide::decide(pgpool, &observed, validated, &context.limits, now); // pure
    context
        .caches
        .ca_index
        .record(&ObjectRef::from_obj(pgpool), &decision.signers); // memory
    let certificates = build::build(&decision); // pure
    let applied = apply::apply(context, pgpool, &observed, certificates, &decision, now).await; // client
    let report = report::report(pgpool, &observed, &decision, &applied, now); // pure
    let (published, adopted) = futures::join!(
        publish::publish(context, pgpool, &observed, report.as_ref(), now), // client
        apply::adopt(context, pgpool, &observed, &decision),                // client
    );
    applied.failure.map_or(Ok(()), Err)?;
    published?;
    adopted?;
    Ok(report::outcome(report.as_ref(), now))
}

#[cfg(test)]
mod tests;
