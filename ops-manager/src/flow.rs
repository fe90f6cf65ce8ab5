//! How far a Pgpool is on its way from a manifest to a served certificate: ten steps, each done, waiting, pending or not
//! needed. Pure: everything is read from objects that are cached anyway.

mod steps;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use kube::ResourceExt;
use proto::verdict::{PgpoolId, Verdict};
use shared_types::Pgpool;

use crate::certificates::observe::Observed;
use crate::certificates::validate::Validated;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) pgpool: PgpoolId,
    /// The ten steps, in order.
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// From 1 to 10.
    pub(crate) number: u32,
    pub(crate) actor: Actor,
    pub(crate) title: &'static str,
    pub(crate) state: StepState,
    /// When it was done, if the objects show it.
    pub(crate) done_at: Option<Timestamp>,
    /// The objects of a step that is done, or what it waits for.
    pub(crate) detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    User,
    Provisioner,
    OpsManager,
    CertManager,
}

impl Actor {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Provisioner => "provisioner",
            Self::OpsManager => "ops-manager",
            Self::CertManager => "cert-manager",
        }
    }
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepState {
    /// Its turn comes after a step that waits.
    Pending,
    /// The first that is not done.
    Waiting,
    Done,
    /// The Pgpool has no TLS.
    NotNeeded,
}

impl Flow {
    /// What the first step that is not done waits for; empty when all are done.
    pub(crate) fn waiting_for(&self) -> &str {
        let waiting = self.steps.iter().find(|step| step.state == StepState::Waiting);
        waiting.map_or("", |step| &step.detail)
    }
}

/// The state of a step on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    Done { at: Option<Timestamp>, detail: String },
    Open { waits_for: String },
    NotNeeded,
}

struct View<'a> {
    pgpool: &'a Pgpool,
    observed: &'a Observed,
    validated: Option<&'a Validated>,
    verdict: Option<&'a Verdict>,
}

pub(crate) fn flow(
    pgpool: &Pgpool,
    observed: &Observed,
    validated: Option<&Validated>,
    verdict: Option<&Verdict>,
) -> Flow {
    let view = View {
        pgpool,
        observed,
        validated,
        verdict,
    };
    let mut waiting = false;
    let steps = steps::all(&view)
        .into_iter()
        .zip(1..)
        .map(|((actor, title, progress), number)| {
            let (state, done_at, detail) = match progress {
                Progress::Done { at, detail } => (StepState::Done, at, detail),
                Progress::NotNeeded => (StepState::NotNeeded, None, "the Pgpool has no TLS".to_owned()),
                Progress::Open { waits_for } => {
                    let first = !std::mem::replace(&mut waiting, true);
                    (
                        if first {
                            StepState::Waiting
                        } else {
                            StepState::Pending
                        },
                        None,
                        waits_for,
                    )
                }
            };
            Step {
                number,
                actor,
                title,
                state,
                done_at,
                detail,
            }
        });
    Flow {
        steps: steps.collect(),
        pgpool: PgpoolId {
            namespace: pgpool.namespace().unwrap_or_default(),
            name: pgpool.name_any(),
            uid: pgpool.uid().unwrap_or_default(),
        },
    }
}
