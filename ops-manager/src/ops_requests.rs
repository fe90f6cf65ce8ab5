//! The controller `ops_requests`: carries out each `PgpoolOpsRequest` once, and reports its progress in the status.
//!
//! Most operations are a change of the spec of the Pgpool, which the provisioner then brings about like any change of a
//! user: this controller writes the change, and waits until the Pgpool reports that it is done. It never touches a pod or a
//! workload, and the provisioner is not paused meanwhile, since it does the work.
//!
//! The progress of a request is in its status and in the objects that it changes, and nowhere else: a restarted process
//! finds each step done, and none is done twice.

mod apply;
pub(crate) mod competing_request;
mod decide;
mod error;
mod observe;
mod operations;
mod publish;
mod report;
mod resolution;
pub(crate) mod status;
mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Outcome, clock};
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus};

use crate::context::Context;
use decide::{Expiry, Next};
use error::Error;
use observe::{Facts, Referenced};
use operations::{Step, operation};
use resolution::Resolution;

/// Reconciles one request.
///
/// # Errors
/// When the API server cannot be reached. What is rejected ends the request; what is missing is waited for.
pub(crate) async fn reconcile(
    request: Arc<PgpoolOpsRequest>,
    context: Arc<Context>,
) -> Result<Outcome, Error> {
    let key = ObjectRef::from_obj(request.as_ref());
    let has_ended = request.status.as_ref().is_some_and(status::has_ended);
    if has_ended || request.metadata.deletion_timestamp.is_some() {
        context.pending.forget(&key);
        return expire(&request, &context, clock::now()).await;
    }
    let outcome = converge(&request, &context, clock::now()).await;
    context.forget_request_if_gone(&key);
    outcome
}

/// Deletes a finished request when its time has come.
async fn expire(request: &PgpoolOpsRequest, context: &Context, now: Timestamp) -> Result<Outcome, Error> {
    if request.metadata.deletion_timestamp.is_some() {
        return Ok(Outcome::Converged);
    }
    let newer = observe::finished_later(context, request); // cache
    match decide::expiry(request, newer, now) {
        Expiry::Keep => Ok(Outcome::Converged),
        Expiry::After(left) => Ok(Outcome::ConvergedUntil(left)),
        Expiry::Now => {
            apply::delete(request, context).await?; // client
            Ok(Outcome::Converged)
        }
    }
}

async fn converge(request: &PgpoolOpsRequest, context: &Context, now: Timestamp) -> Result<Outcome, Error> {
    let current = observe::status(context, request); // cache
    if status::has_ended(&current) {
        return Ok(Outcome::Converged);
    }
    if !status::has_started(&current)
        && let Some(resolution) = start(request, context, &current, now).await?
    {
        return Ok(resolution.outcome());
    }
    let current = observe::status(context, request); // cache
    let (status, result) = run_steps(request, context, current, now).await;
    // Also after a failure: what is done is done.
    publish::publish(context, request, status).await?; // client
    Ok(result?.outcome())
}

/// Starts a request; returns why it does not start.
async fn start(
    request: &PgpoolOpsRequest,
    context: &Context,
    current: &PgpoolOpsRequestStatus,
    now: Timestamp,
) -> Result<Option<Resolution>, Error> {
    let pgpool = observe::pgpool(context, request); // cache
    let referenced = match &pgpool {
        Some(pgpool) => {
            let references = operation(request).references(request);
            observe::referenced(&context.client, request, pgpool, references).await? // client
        }
        None => Referenced::default(),
    };
    let since = decide::free_since(request, &observe::competing(context, request));
    let rights = observe::rights(context); // cache
    let admission = validate::validate(request, pgpool.as_deref(), &referenced, &rights, since, now); // pure
    let _starting = context.starting.lock(request).await;
    // Read again under the lock: another request may have started meanwhile.
    let competing = observe::competing(context, request); // cache
    let blocked = decide::start(request, &competing, admission); // pure
    let status = if let Some(resolution) = &blocked {
        report::not_started(request, current, resolution, now) // pure
    } else {
        let facts = observe::facts(context, request); // cache
        report::started(request, decide::certificates_to_replace(request, &facts), now) // pure
    };
    publish::publish(context, request, status).await?; // client
    Ok(blocked)
}

/// Runs every step that can be done now. The status has what was done, also after a failure.
async fn run_steps(
    request: &PgpoolOpsRequest,
    context: &Context,
    mut status: PgpoolOpsRequestStatus,
    now: Timestamp,
) -> (PgpoolOpsRequestStatus, Result<Resolution, Error>) {
    let steps = operation(request).steps(request);
    loop {
        let facts = match observe_facts(request, context, &steps, &status).await {
            Ok(facts) => facts,
            Err(error) => return (status, Err(error)),
        };
        let resolution = match decide::next(request, &steps, &status, &facts, now) {
            Next::Done { step, message } => {
                report::step_done(request, &mut status, step.condition, message, now);
                continue;
            }
            Next::Do(step) => match apply::apply(request, step, &facts, &status, context, now).await {
                Ok(Ok(done)) => {
                    status.database_generation = done.generation.or(status.database_generation);
                    report::step_done(request, &mut status, step.condition, done.message, now);
                    continue;
                }
                Ok(Err(resolution)) => resolution,
                Err(error) => return (status, Err(error)),
            },
            Next::Stop(resolution) => resolution,
        };
        report::resolved(request, &mut status, &steps, &resolution, now);
        return (status, Ok(resolution));
    }
}

async fn observe_facts(
    request: &PgpoolOpsRequest,
    context: &Context,
    steps: &[Step],
    status: &PgpoolOpsRequestStatus,
) -> Result<Facts, Error> {
    let mut facts = observe::facts(context, request);
    if decide::needs_control_port(steps, status) {
        facts.control_port = observe::control_port(&context.client, facts.pgpool.as_deref()).await?;
    }
    Ok(facts)
}

#[cfg(test)]
mod tests;
