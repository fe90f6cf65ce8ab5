//! From our types to those on the wire: total, nothing is lost and nothing can fail.

use jiff::Timestamp;
use proto::v1;

use crate::flow::{Flow, Step, StepState};
use crate::verdicts::{CertificateVerdict, News, PgpoolId, Verdict};

/// Converts a name.
#[must_use]
pub fn pgpool(id: &PgpoolId) -> v1::PgpoolRef {
    v1::PgpoolRef {
        namespace: id.namespace.clone(),
        name: id.name.clone(),
        uid: id.uid.clone(),
    }
}

/// Converts a verdict.
#[must_use]
pub fn verdict(verdict: &Verdict) -> v1::Verdict {
    v1::Verdict {
        pgpool: Some(pgpool(&verdict.pgpool)),
        generation: verdict.generation,
        ready: verdict.ready,
        reason: verdict.reason.to_string(),
        message: verdict.message.clone(),
        certificates: verdict.certificates.iter().map(certificate).collect(),
    }
}

fn certificate(verdict: &CertificateVerdict) -> v1::CertificateVerdict {
    v1::CertificateVerdict {
        alias: verdict.alias.to_string(),
        secret_name: verdict.secret_name.clone(),
        fingerprint: verdict
            .leaf
            .map(|leaf| leaf.fingerprint.to_string())
            .unwrap_or_default(),
        ready: verdict.ready,
        reason: verdict.reason.to_string(),
        message: verdict.message.clone(),
        not_before: verdict.leaf.map(|leaf| timestamp(leaf.not_before)),
        not_after: verdict.leaf.map(|leaf| timestamp(leaf.not_after)),
    }
}

/// Converts a change on the board.
#[must_use]
pub fn news(news: &News) -> v1::WatchVerdictsResponse {
    event(match news {
        News::Verdict(changed) => v1::watch_verdicts_response::Event::Verdict(verdict(changed)),
        News::Removed(id) => v1::watch_verdicts_response::Event::Removed(pgpool(id)),
    })
}

/// The word that all that was known has been sent.
#[must_use]
pub fn synced() -> v1::WatchVerdictsResponse {
    event(v1::watch_verdicts_response::Event::Synced(v1::Synced {}))
}

fn event(event: v1::watch_verdicts_response::Event) -> v1::WatchVerdictsResponse {
    v1::WatchVerdictsResponse { event: Some(event) }
}

/// Converts a flow.
#[must_use]
pub fn flow(flow: &Flow) -> v1::Flow {
    v1::Flow {
        pgpool: Some(pgpool(&flow.pgpool)),
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
        done_at: step.done_at.map(timestamp),
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

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}
