//! Computes what is reported about a `Pgpool`: phase, conditions, pods, and the outcome of the reconcile. Pure.
//!
//! Computes this operator's part of the status only; the rest belongs to ops-manager and is read, never written.

mod initialized;
mod monitored;
mod no_effect;
mod phase;
mod pods;
mod rollout;
mod unprotected;
mod users;
mod work;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use operator_runtime::Outcome;
use shared_types::conditions::{ConditionType, Reason, Status, condition, find, is_true};
use shared_types::explanation::{Blocked, Explanation};
use shared_types::{Pgpool, PgpoolStatus};

use super::apply::Applied;
use super::decide::Decision;
use super::observe::Observed;
use super::validate::Validated;
use initialized::Initialized;
use monitored::Monitored;
use pods::Checks;
use work::{CONFLICT_RETRY, Work};

#[cfg(test)]
mod tests;

/// What is reported.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// This operator's part of the status; `None` when the next result of a probe, which is on its way, decides it: a
    /// status that would be overwritten in a moment is not worth a write.
    pub(crate) status: Option<PgpoolStatus>,
    /// The outcome of the reconcile, unless it failed.
    pub(crate) outcome: Outcome,
}

/// Computes the report.
pub(crate) fn report(
    pgpool: &Pgpool,
    observed: &Observed,
    validated: &Result<Validated, Blocked>,
    decision: &Result<Decision<'_>, Blocked>,
    applied: &Applied,
    now: Timestamp,
) -> Report {
    let work = Work::of(pgpool, observed, decision, applied, now);
    let checks = Checks::new(pgpool, observed, applied);
    let initialized = Initialized::of(applied);
    let mut outcome = work.outcome();
    let mut status = None;
    if !work.is_settling() && !checks.answers_are_coming() {
        let subject = Subject {
            pgpool,
            observed,
            validated,
            decision,
            applied,
        };
        status = Some(own_status(&subject, &checks, &work, &initialized, now));
        if let Some(after) = initialized.retry_after() {
            outcome = outcome.no_later_than(after);
        }
    }
    for retry_after in retries(decision, applied) {
        outcome = outcome.no_later_than(retry_after);
    }
    Report { status, outcome }
}

/// When to reconcile again for what no condition is about.
fn retries(decision: &Result<Decision<'_>, Blocked>, applied: &Applied) -> Vec<Duration> {
    let mut retries = Vec::new();
    if let Ok(decision) = decision {
        let hold = decision.rotation_hold.as_ref();
        retries.extend(hold.and_then(|hold| hold.explanation.retry_after));
        if !applied.resize_rejected {
            retries.extend(decision.retry_after);
        }
    }
    if applied.resize_rejected {
        // The pod is replaced.
        retries.push(Duration::ZERO);
    }
    // No watch reports that an object of another owner is deleted, or that rights are granted.
    if applied.monitoring_failure.is_some() {
        retries.push(CONFLICT_RETRY);
    }
    retries
}

/// What a status is about.
struct Subject<'a> {
    pgpool: &'a Pgpool,
    observed: &'a Observed,
    validated: &'a Result<Validated, Blocked>,
    decision: &'a Result<Decision<'a>, Blocked>,
    applied: &'a Applied,
}

fn own_status(
    subject: &Subject<'_>,
    checks: &Checks<'_>,
    work: &Work,
    initialized: &Initialized,
    now: Timestamp,
) -> PgpoolStatus {
    let pgpool = subject.pgpool;
    let before = pgpool.status.as_ref().map(|status| status.conditions.as_slice());
    let before = before.unwrap_or_default();
    let writer = ConditionWriter {
        before,
        generation: pgpool.meta().generation,
        now,
    };
    let conditions = conditions(subject, &writer, checks, work, initialized);
    PgpoolStatus {
        phase: phase::phase(&conditions, before),
        observed_generation: pgpool.meta().generation,
        conditions,
        certificates: Vec::new(),
        pods: checks.pods(),
    }
}

/// What conditions have in common.
#[derive(Clone, Copy)]
struct ConditionWriter<'a> {
    before: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
}

impl ConditionWriter<'_> {
    /// The same, about the spec that is in effect. Pods of the spec before may serve well, and a program that waits for
    /// condition Ready after an edit must not take them for the new ones: until there is nothing left to do the condition
    /// is about the generation that it was about before.
    fn in_effect(self, work: &Work) -> Self {
        if matches!(work, Work::Done { .. }) {
            return self;
        }
        let before = find(self.before, ConditionType::Ready).and_then(|ready| ready.observed_generation);
        Self {
            generation: before.or(self.generation),
            ..self
        }
    }

    fn write(&self, ty: ConditionType, new: NewCondition) -> Condition {
        condition(
            ty,
            new.status,
            new.reason,
            new.message,
            self.generation,
            self.now,
            self.before,
        )
    }

    /// A condition that is unknown now stays as it was.
    fn write_or_keep(&self, ty: ConditionType, new: Option<NewCondition>) -> Option<Condition> {
        match new {
            Some(new) => Some(self.write(ty, new)),
            None => find(self.before, ty).cloned(),
        }
    }
}

/// The content of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NewCondition {
    status: Status,
    reason: Reason,
    message: String,
}

impl NewCondition {
    fn new(status: impl Into<Status>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            reason,
            message: message.into(),
        }
    }

    fn explained(status: impl Into<Status>, explanation: &Explanation) -> Self {
        Self::new(status, explanation.reason, explanation.message.clone())
    }
}

fn conditions(
    subject: &Subject<'_>,
    writer: &ConditionWriter<'_>,
    checks: &Checks<'_>,
    work: &Work,
    initialized: &Initialized,
) -> Vec<Condition> {
    let ready = writer
        .in_effect(work)
        .write_or_keep(ConditionType::Ready, checks.ready());
    let is_ready = ready
        .as_ref()
        .is_some_and(|ready| ready.status == Status::True.as_str());
    let started = NewCondition::new(
        true,
        Reason::DatabaseProvisioningStartedSuccessfully,
        "The operator has begun to provision the Pgpool",
    );
    let mut conditions = vec![
        writer.write(ConditionType::ProvisioningStarted, started),
        writer.write(ConditionType::ReplicaReady, checks.replicas_ready()),
    ];
    conditions.extend(writer.write_or_keep(ConditionType::AcceptingConnection, checks.accepting()));
    conditions.extend(ready);
    // Read back from the status: that the Pgpool was ready once cannot be observed again.
    if is_ready || is_true(writer.before, ConditionType::Provisioned) {
        let provisioned = NewCondition::new(
            true,
            Reason::DatabaseSuccessfullyProvisioned,
            "The Pgpool has been ready at least once",
        );
        conditions.push(writer.write(ConditionType::Provisioned, provisioned));
    }
    let monitored = Monitored::of(subject.pgpool, subject.observed, subject.applied);
    conditions.extend(match monitored {
        Monitored::NotRequested => None,
        Monitored::Unknown => writer.write_or_keep(ConditionType::Monitored, None),
        Monitored::Known(new) => Some(writer.write(ConditionType::Monitored, new)),
    });
    conditions.push(writer.write(ConditionType::Reconciling, work.reconciling()));
    // Only while it holds: tools take its absence for "no".
    let stalled = work.stalled();
    conditions.extend(stalled.map(|new| writer.write(ConditionType::Stalled, new)));
    conditions.extend(match initialized {
        Initialized::NotRequested => None,
        Initialized::Unknown => writer.write_or_keep(ConditionType::Initialized, None),
        Initialized::Known(new, _) => Some(writer.write(ConditionType::Initialized, new.clone())),
    });
    conditions.extend(match subject.validated {
        Err(_) => writer.write_or_keep(ConditionType::UsersIncomplete, None),
        Ok(validated) => {
            let incomplete = users::incomplete(&validated.user_complaints);
            incomplete.map(|new| writer.write(ConditionType::UsersIncomplete, new))
        }
    });
    let unprotected = unprotected::unprotected(subject.pgpool, &subject.observed.inputs);
    conditions.extend(unprotected.map(|new| writer.write(ConditionType::Unprotected, new)));
    conditions.extend(match subject.decision {
        Err(_) => writer.write_or_keep(ConditionType::RotationHeld, None),
        Ok(decision) => decision.rotation_hold.as_ref().map(|hold| {
            let new = NewCondition::explained(hold.holds, &hold.explanation);
            writer.write(ConditionType::RotationHeld, new)
        }),
    });
    conditions
}
