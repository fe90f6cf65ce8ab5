//! What is told about a `Pgpool`: phase, conditions, pods, and what the reconcile came to. Pure.
//!
//! Holds this operator's part of the status only; the rest belongs to ops-manager and is read, never written.

mod checks;
mod held;
mod initialized;
mod monitored;
mod phase;
mod remarks;
mod rolling;
mod users;
pub(super) mod work;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use operator_runtime::Outcome;
use shared_types::conditions::{ConditionType, Reason, Status, condition, find, is_true};
use shared_types::{Pgpool, PgpoolStatus};

use super::apply::Done;
use super::observe::Observed;
use checks::Checks;
use initialized::Initialized;
use monitored::Monitored;
pub(super) use monitored::is_passing;
use work::Work;

#[cfg(test)]
mod tests;

/// What a reconcile has to tell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report {
    /// This operator's part of the status; `None` when the next result of a check, which is on its way, decides it:
    /// a status that would be overwritten in a moment is not worth a write.
    pub(crate) status: Option<PgpoolStatus>,
    /// What it came to.
    pub(crate) outcome: Outcome,
}

/// Computes what there is to tell. `asked`: whether a login is known, with which pods are asked.
pub(crate) fn report(
    pgpool: &Pgpool,
    observed: &Observed,
    applied: &Done,
    asked: bool,
    now: Timestamp,
) -> Report {
    let before = pgpool.status.clone().unwrap_or_default();
    let work = Work::judge(pgpool, observed, applied, now);
    let outcome = work.outcome();
    if matches!(work, Work::Unknown | Work::Listens(_)) {
        return Report {
            status: None,
            outcome,
        };
    }
    let checks = Checks::new(pgpool, observed, applied, asked);
    if checks.answers_are_coming() {
        return Report {
            status: None,
            outcome,
        };
    }
    let writer = Writer {
        before: &before.conditions,
        generation: pgpool.meta().generation,
        now,
    };
    let initialized = Initialized::judge(applied);
    let monitored = Monitored::judge(pgpool, observed, applied);
    let conditions = conditions(&writer, &checks, &work, monitored, &initialized);
    let phase = phase::phase(&conditions, &before.conditions);
    Report {
        status: Some(PgpoolStatus {
            phase,
            observed_generation: pgpool.meta().generation,
            conditions,
            certificates: Vec::new(),
            pods: checks.pods(),
        }),
        outcome: match initialized {
            Initialized::Says(_, Some(after)) => outcome.no_later_than(after),
            _ => outcome,
        },
    }
}

/// What conditions have in common.
#[derive(Clone, Copy)]
struct Writer<'a> {
    before: &'a [Condition],
    generation: Option<i64>,
    now: Timestamp,
}

impl Writer<'_> {
    /// The same, about the spec that is in effect. Pods of the spec before may serve well, and whoever waits for
    /// condition Ready after an edit must not be told of them: until there is nothing left to do the condition
    /// speaks of the generation that it spoke of before.
    fn in_effect(self, work: &Work) -> Self {
        let before = || find(self.before, ConditionType::Ready).and_then(|ready| ready.observed_generation);
        let generation = match work {
            Work::Done { .. } => self.generation,
            Work::Unknown | Work::Listens(_) | Work::Waits { .. } | Work::Stuck { .. } => {
                before().or(self.generation)
            }
        };
        Self { generation, ..self }
    }

    fn write(&self, ty: ConditionType, said: Said) -> Condition {
        condition(
            ty,
            said.status,
            said.reason,
            said.message,
            self.generation,
            self.now,
            self.before,
        )
    }

    /// A condition that nobody can judge now stays as it was.
    fn write_or_keep(&self, ty: ConditionType, said: Option<Said>) -> Option<Condition> {
        said.map(|said| self.write(ty, said))
            .or_else(|| find(self.before, ty).cloned())
    }
}

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    status: Status,
    reason: Reason,
    message: String,
}

impl Said {
    fn new(status: impl Into<Status>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status: status.into(),
            reason,
            message: message.into(),
        }
    }
}

fn conditions(
    writer: &Writer<'_>,
    checks: &Checks<'_>,
    work: &Work,
    monitored: Monitored,
    initialized: &Initialized,
) -> Vec<Condition> {
    let ready = writer
        .in_effect(work)
        .write_or_keep(ConditionType::Ready, checks.ready());
    let is_ready = ready
        .as_ref()
        .is_some_and(|ready| ready.status == Status::True.as_str());
    let started = Said::new(
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
        let said = Said::new(
            true,
            Reason::DatabaseSuccessfullyProvisioned,
            "The Pgpool has been ready at least once",
        );
        conditions.push(writer.write(ConditionType::Provisioned, said));
    }
    conditions.extend(match monitored {
        Monitored::Unasked => None,
        Monitored::Unknown => writer.write_or_keep(ConditionType::Monitored, None),
        Monitored::Said(said) => Some(writer.write(ConditionType::Monitored, said)),
    });
    conditions.push(writer.write(ConditionType::Reconciling, work.reconciling()));
    // Only while it holds: tools take its absence for "no".
    conditions.extend(
        work.stalled()
            .map(|said| writer.write(ConditionType::Stalled, said)),
    );
    conditions.extend(match initialized {
        Initialized::NotAsked => None,
        Initialized::Unknown => writer.write_or_keep(ConditionType::Initialized, None),
        Initialized::Says(said, _) => Some(writer.write(ConditionType::Initialized, said.clone())),
    });
    conditions
}
