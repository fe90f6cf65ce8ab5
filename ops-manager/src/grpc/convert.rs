//! Encodes flows for the wire. Total: nothing is lost and nothing can fail.

use proto::v1;
use proto::verdict::encode_time;

use crate::flow::{Flow, Step, StepState};

pub(crate) fn flow(flow: &Flow) -> v1::Flow {
    v1::Flow {
        pgpool: Some((&flow.pgpool).into()),
        steps: flow.steps.iter().map(step).collect(),
        waiting_for: flow.waiting_for().to_owned(),
    }
}

fn step(step: &Step) -> v1::Step {
    v1::Step {
        number: step.number,
        actor: step.actor.as_str().to_owned(),
        title: step.title.to_owned(),
        state: state(step.state).into(),
        done_at: step.done_at.map(encode_time),
        detail: step.detail.clone(),
    }
}

fn state(state: StepState) -> v1::StepState {
    match state {
        StepState::Pending => v1::StepState::Pending,
        StepState::Waiting => v1::StepState::Waiting,
        StepState::Done => v1::StepState::Done,
        StepState::NotNeeded => v1::StepState::NotNeeded,
    }
}
