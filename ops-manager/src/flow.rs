//! Where a Pgpool stands on its way from a manifest to a served certificate: ten steps, each done, waiting, to come or
//! not needed. Pure: everything is read off objects that are cached anyway.

mod steps;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use kube::ResourceExt;
use shared_types::Pgpool;

use crate::certificates::observe::Observed;
use crate::certificates::validate::Plan;
use proto::verdict::{PgpoolId, Verdict};

/// The way of one Pgpool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The Pgpool.
    pub(crate) pgpool: PgpoolId,
    /// The ten steps, in order.
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// From 1 to 10.
    pub(crate) number: u32,
    /// Who takes it.
    pub(crate) actor: Actor,
    /// What it is.
    pub(crate) title: &'static str,
    /// How far it is.
    pub(crate) state: StepState,
    /// When it was done, as far as objects tell.
    pub(crate) done_at: Option<Timestamp>,
    /// The objects found, or what it waits for.
    pub(crate) detail: String,
}

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Whoever writes manifests.
    User,
    /// The other operator.
    Provisioner,
    /// This operator.
    OpsManager,
    /// cert-manager.
    CertManager,
}

impl Actor {
    /// As on the channel.
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
    /// It is the first that is not done.
    Waiting,
    /// It is done.
    Done,
    /// Without TLS there is no such step.
    NotNeeded,
}

impl Flow {
    /// What the first step that is not done waits for; nothing when all are.
    pub(crate) fn waiting_for(&self) -> &str {
        let waiting = self.steps.iter().find(|step| step.state == StepState::Waiting);
        waiting.map_or("", |step| &step.detail)
    }
}

/// What is known of a step by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    Done { at: Option<Timestamp>, detail: String },
    Open { waits_for: String },
    NotNeeded,
}

/// What the steps are read off.
struct View<'a> {
    pgpool: &'a Pgpool,
    observed: &'a Observed,
    plan: &'a Plan,
    verdict: Option<&'a Verdict>,
}

/// Tells where a Pgpool stands.
pub(crate) fn flow(pgpool: &Pgpool, observed: &Observed, plan: &Plan, verdict: Option<&Verdict>) -> Flow {
    let view = View {
        pgpool,
        observed,
        plan,
        verdict,
    };
    let mut waiting = false;
    let steps = steps::all(&view)
        .into_iter()
        .zip(1..)
        .map(|((actor, title, progress), number)| {
            let (state, done_at, detail) = match progress {
                Progress::Done { at, detail } => (StepState::Done, at, detail),
                Progress::NotNeeded => (
                    StepState::NotNeeded,
                    None,
                    "the Pgpool asks for no TLS".to_owned(),
                ),
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
