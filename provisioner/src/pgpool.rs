//! The controller of `Pgpool`: observe → validate → plan → apply → report.

pub(crate) mod apply;
pub(crate) mod authorities;
pub(crate) mod build;
pub(crate) mod delivery;
pub(crate) mod error;
pub(crate) mod handoff;
pub(crate) mod judgement;
pub(crate) mod memory;
pub(crate) mod monitoring;
pub(crate) mod observe;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod publish;
pub(crate) mod rollout;
pub(crate) mod status;
pub(crate) mod turn;
pub(crate) mod validate;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Outcome, clock};
use shared_types::Pgpool;

use crate::context::Context;
use apply::{Progress, Writer};
use error::Error;
use status::work::CONFLICT_RETRY as RETRY;

#[cfg(test)]
mod tests;

/// Brings one `Pgpool` a step further, and says in its status where it stands.
///
/// # Errors
/// Only when the API server cannot be talked to. Whatever is missing, refused or foreign is an [`Outcome`].
pub(crate) async fn reconcile(pgpool: Arc<Pgpool>, context: Arc<Context>) -> Result<Outcome, Error> {
    let key = ObjectRef::from_obj(pgpool.as_ref());
    if pgpool.meta().deletion_timestamp.is_some() {
        // Owner references clean up; writing now would only race with them.
        context.forget(&key);
        return Ok(Outcome::Converged);
    }
    let outcome = Box::pin(settle(pgpool, &key, &context, clock::now())).await;
    // It may have gone meanwhile, and then was forgotten too early.
    context.forget_if_gone(&key);
    outcome
}

async fn settle(
    pgpool: Arc<Pgpool>,
    key: &ObjectRef<Pgpool>,
    context: &Context,
    now: Timestamp,
) -> Result<Outcome, Error> {
    let pgpool = context.memory.pending.with_status(pgpool);
    // Client: caches, and at most one question to the API server.
    let mut observed = observe::observe(&pgpool, context, now).await?;
    context.subscribe(
        key,
        &observe::Subscriptions::of(&pgpool, &observed, &context.scope),
    );
    // Pure.
    let validated = validate::validate(&pgpool, &observed.inputs);
    // Pure.
    let plan_of = |observed: &observe::Observed| {
        let validated = validated.as_ref().map_err(Clone::clone);
        validated.and_then(|it| plan::plan(&pgpool, it, observed, context.handoff_grace, now))
    };
    let mut plan = plan_of(&observed);
    if let Some(ask) = plan.as_ref().ok().and_then(|plan| plan.asks) {
        // Memory, and what came of it makes another plan.
        observed.schedule.admission = Some(context.fleet.admit(key, ask, now));
        plan = plan_of(&observed);
    }
    if let Ok(plan) = &plan {
        progress::note(plan, &observed, context, key, now);
    }
    let remark = plan.as_ref().ok().map(|plan| plan.remark.clone());
    let look_again = plan.as_ref().ok().and_then(|plan| plan.look_again);
    let access = validated.as_ref().ok().zip(plan.as_ref().ok());
    let access = access.and_then(|(validated, plan)| plan::access(&pgpool, validated, &observed, plan, now));
    context
        .health
        .set_targets(key, plan::reachable(&observed), access);
    // Client.
    let writer = Writer {
        applier: &context.applier,
        memory: &context.memory,
        key,
    };
    let applied = Box::pin(apply::apply(writer, plan, &observed)).await;
    // Pure.
    let report = status::report(&pgpool, &observed, &applied, context.health.is_probing(key), now);
    let complaints = validated.as_ref().ok().map(|it| it.user_complaints.as_slice());
    let report = report.about_users(&pgpool, complaints, now);
    let report = report.about_rotation(&pgpool, remark.as_ref().map(Option::as_ref), now);
    // Client.
    let outcome = publish::publish(&pgpool, context, report, now).await?;
    let look_again = if applied.unresizable {
        Some(Duration::ZERO)
    } else {
        look_again
    };
    let outcome = look_again.map_or(outcome, |after| outcome.no_later_than(after));
    match (applied.progress, applied.init_failure, applied.untold) {
        (Progress::Failed(error), _, _) | (_, Some(error), _) => Err(Error::Apply(error)),
        (_, _, Some(error)) if status::is_passing(&error) => Err(Error::Apply(error)),
        // No watch tells when somebody else's object goes, or a right comes.
        (_, _, Some(_)) => Ok(outcome.no_later_than(RETRY)),
        (_, None, None) => Ok(outcome),
    }
}
