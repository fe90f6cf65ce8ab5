//! The controller of `Pgpool`: observe → validate → decide → build → apply → report, and publish the report.

pub(crate) mod apply;
pub(crate) mod build;
pub(crate) mod decide;
pub(crate) mod error;
pub(crate) mod memory;
pub(crate) mod observe;
pub(crate) mod publish;
pub(crate) mod report;
pub(crate) mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Outcome, clock};
use shared_types::Pgpool;

use crate::context::Context;
use decide::Policy;
use error::Error;
use observe::Subscriptions;

#[cfg(test)]
mod tests;

/// Brings one `Pgpool` a step further, and reports in its status how far it is.
///
/// # Errors
/// Only when the API server cannot be reached or rejects a request. Whatever is missing, invalid or owned by someone else
/// is an [`Outcome`].
pub(crate) async fn reconcile(pgpool: Arc<Pgpool>, context: Arc<Context>) -> Result<Outcome, Error> {
    let key = ObjectRef::from_obj(pgpool.as_ref());
    if pgpool.meta().deletion_timestamp.is_some() {
        // Owner references clean up; writing now would only race with them.
        context.forget(&key);
        return Ok(Outcome::Converged);
    }
    let pgpool = context.memory.pending.with_status(pgpool);
    let outcome = Box::pin(reconcile_existing(&pgpool, &key, &context, clock::now())).await;
    // If it was deleted meanwhile, it was forgotten too early.
    context.forget_if_gone(&key);
    outcome
}

async fn reconcile_existing(
    pgpool: &Pgpool,
    key: &ObjectRef<Pgpool>,
    context: &Context,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let policy = Policy {
        preview: &build::Preview,
        limiter: &context.rotation_limiter.for_pgpool(key),
        handoff_grace: context.handoff_grace,
    };
    // Until it is observed again: a change meanwhile has to trigger another reconcile.
    context.caches.refused.set(key, false);
    // Client: caches, and at most one request.
    let observed = observe::observe(pgpool, context, now).await?;
    context.subscribe(key, &Subscriptions::of(pgpool, &observed, &context.scope));
    // Pure.
    let validated = validate::validate(pgpool, &observed.inputs);
    // Pure, but for a place at the rotation limiter.
    let decision = decide::decide(pgpool, &validated, &observed, policy, now);
    // Pure.
    let objects = build::build(&validated, &decision);
    // Client.
    let applied = Box::pin(apply::apply(context, pgpool, &decision, objects, &observed, now)).await;
    // Pure.
    let report = report::report(pgpool, &observed, &validated, &decision, &applied, now);
    // Client.
    publish::publish(pgpool, context, report, applied, now).await
}
