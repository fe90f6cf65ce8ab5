//! The controller `ops_requests`: carries out what a `PgpoolOpsRequest` asks for, once, and says in its status how far
//! it is.
//!
//! Most operations are a change of the spec of the Pgpool, which the provisioner then brings about as it does any change of
//! a user's: this controller writes the change, and waits until the Pgpool says that it is done. It never touches a pod or
//! a workload. So the provisioner is not paused meanwhile: it is the one who does the work.
//!
//! Where a request stands is in its status and in the objects that it changes, and nowhere else: each step can be found
//! done by whoever comes after a kill, and none is done twice.

pub(crate) mod apply;
pub(crate) mod difference;
pub(crate) mod error;
pub(crate) mod observe;
pub(crate) mod plan;
pub(crate) mod queue;
pub(crate) mod ranges;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod validate;

use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use operator_runtime::{Outcome, clock};
use shared_types::conditions::OpsReason;
use shared_types::{PgpoolOpsRequest, PgpoolOpsRequestStatus, names};
use tracing::info;

use crate::context::Context;
use apply::Effect;
use error::Error;
use plan::Next;
use queue::Turn;
use report::Verdict;
use validate::Admission;

/// Brings one request a step further.
///
/// # Errors
/// Only when the API server cannot be talked to. What is refused ends the request; what is missing is waited for.
pub(crate) async fn reconcile(
    request: Arc<PgpoolOpsRequest>,
    context: Arc<Context>,
) -> Result<Outcome, Error> {
    let key = ObjectRef::from_obj(request.as_ref());
    let over = request.status.as_ref().is_some_and(status::has_ended);
    if over || request.metadata.deletion_timestamp.is_some() {
        context.pending.forget(&key);
        return Ok(Outcome::Converged);
    }
    let outcome = settle(&request, &context, clock::now()).await;
    context.forget_request_if_gone(&key);
    outcome
}

async fn settle(request: &PgpoolOpsRequest, context: &Context, now: Timestamp) -> Result<Outcome, Error> {
    let standing = observe::status(context, request);
    if status::has_ended(&standing) {
        return Ok(Outcome::Converged);
    }
    if !status::has_started(&standing) {
        let admission = admission(request, context, now).await?;
        let begun = begin(request, context, &standing, admission, now).await?;
        if let Some(outcome) = begun {
            return Ok(outcome);
        }
    }
    let standing = observe::status(context, request);
    let (status, result) = carry_out(request, context, standing, now).await;
    // Also after a failure: what is done is done.
    tell(request, context, status).await?;
    result
}

/// Whether the request may begin, as far as itself and its Pgpool are concerned.
async fn admission(
    request: &PgpoolOpsRequest,
    context: &Context,
    now: Timestamp,
) -> Result<Admission, Error> {
    let rivals = observe::rivals(context, request);
    let pgpool = observe::pgpool(context, request);
    let needs = match &pgpool {
        // Client.
        Some(pgpool) => observe::needs(&context.client, request, pgpool).await?,
        None => validate::Needs::default(),
    };
    let since = queue::free_since(request, &rivals);
    Ok(validate::admit(request, pgpool.as_deref(), &needs, since, now))
}

/// Says that the request has begun, or why not; in the second case with what comes of it.
async fn begin(
    request: &PgpoolOpsRequest,
    context: &Context,
    standing: &PgpoolOpsRequestStatus,
    admission: Admission,
    now: Timestamp,
) -> Result<Option<Outcome>, Error> {
    let _beginning = context.starting.lock().await;
    let verdict = match (
        queue::turn(request, &observe::rivals(context, request)),
        admission,
    ) {
        (Turn::Superseded { by }, _) => Verdict::skipped(&by),
        (_, Admission::Refuse { reason, message }) => Verdict::Failed { reason, message },
        (
            _,
            Admission::Wait {
                reason,
                message,
                after,
            },
        ) => Verdict::Waits {
            reason,
            message,
            after,
        },
        (Turn::Behind { other }, Admission::Go) => Verdict::queued(&other),
        (Turn::Mine, Admission::Go) => {
            let replaced = plan::replaced(request, &observe::facts(context, request));
            tell(request, context, report::begun(request, replaced, now)).await?;
            return Ok(None);
        }
    };
    let outcome = verdict.outcome();
    tell(
        request,
        context,
        report::unbegun(request, standing, &verdict, now),
    )
    .await?;
    Ok(Some(outcome))
}

/// Does every step that can be done now. What was done is in the status that comes back, whatever else came of it.
async fn carry_out(
    request: &PgpoolOpsRequest,
    context: &Context,
    mut status: PgpoolOpsRequestStatus,
    now: Timestamp,
) -> (PgpoolOpsRequestStatus, Result<Outcome, Error>) {
    let steps = plan::steps(request);
    loop {
        let mut facts = observe::facts(context, request);
        if plan::looks_at_control_port(&steps, &status) {
            // Client.
            match observe::control_port(&context.client, facts.pgpool.as_deref()).await {
                Ok(found) => facts.control_port = found,
                Err(error) => return (status, Err(error)),
            }
        }
        // Pure.
        let step = match plan::next(request, &steps, &status, &facts, now) {
            Next::Do(step) => step,
            Next::Reached { step, message } => {
                report::reached(request, &mut status, step.milestone, message, now);
                continue;
            }
            Next::Waits(verdict) | Next::Ends(verdict) => {
                report::settled(request, &mut status, &steps, &verdict, now);
                return (status, Ok(verdict.outcome()));
            }
        };
        // Client.
        match apply::carry_out(request, step, &facts, &status, context, now).await {
            Ok(Effect::Done { generation, message }) => {
                status.database_generation = generation.or(status.database_generation);
                report::reached(request, &mut status, step.milestone, message, now);
            }
            Ok(Effect::Refused { reason, message }) => {
                let verdict = Verdict::Failed { reason, message };
                report::settled(request, &mut status, &steps, &verdict, now);
                return (status, Ok(verdict.outcome()));
            }
            Ok(Effect::Later { message }) => {
                let verdict = Verdict::Waits {
                    reason: OpsReason::Progressing,
                    message,
                    after: Some(apply::SOON),
                };
                report::settled(request, &mut status, &steps, &verdict, now);
                return (status, Ok(verdict.outcome()));
            }
            Err(error) => return (status, Err(error)),
        }
    }
}

/// Writes the status when it differs, and an event when the request begins or ends.
async fn tell(
    request: &PgpoolOpsRequest,
    context: &Context,
    status: PgpoolOpsRequestStatus,
) -> Result<(), Error> {
    let shown = request.status.clone().unwrap_or_default();
    let before = observe::status(context, request);
    let sent = operator_runtime::status::write_status(
        &context.client,
        names::OPS_MANAGER,
        request,
        &status,
        &before,
    );
    if !sent.await.map_err(Error::Status)? {
        return Ok(());
    }
    let key = ObjectRef::from_obj(request);
    context.pending.part(&key, shown, status.clone());
    if before.phase == status.phase {
        return Ok(());
    }
    if let Some(news) = report::news(&status) {
        info!(request = %key, phase = ?status.phase, "operation: {}", news.message);
        let action = request.spec.type_.condition().as_str();
        if news.trouble {
            context
                .events
                .warning(request, action, news.reason, &news.message)
                .await;
        } else {
            context
                .events
                .normal(request, action, news.reason, &news.message)
                .await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
