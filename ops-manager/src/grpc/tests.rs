//! What goes over the wire, and who gets it.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt};
use operator_runtime::Ownership;
use operator_runtime::ownership::{Everything, Key};
use proto::v1;
use proto::v1::flow_service_server::FlowService;
use proto::v1::verdict_service_server::VerdictService;
use proto::v1::watch_verdicts_response::Event;
use proto::v1::{GetFlowRequest, StepState as WireState, WatchFlowRequest, WatchVerdictsRequest};
use proto::verdict::{CertificateVerdict, PgpoolId, Verdict};
use shared_types::Alias;
use shared_types::conditions::Reason;
use tls_bundle::Fingerprint;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};

use super::flow::{FlowSource, Flows};
use super::verdicts::Verdicts;
use super::{Leader, convert};
use crate::fixtures::at;
use crate::flow::{Actor, Flow, Step, StepState};
use crate::verdicts::VerdictStore;

#[derive(Debug)]
struct Nothing;

impl Ownership for Nothing {
    fn owns(&self, _: Key<'_>) -> bool {
        false
    }
}

fn leader() -> Leader {
    Leader::new(Arc::new(Everything))
}

fn standby() -> Leader {
    Leader::new(Arc::new(Nothing))
}

fn id() -> PgpoolId {
    PgpoolId {
        namespace: "demo".into(),
        name: "pool".into(),
        uid: "u".into(),
    }
}

fn verdict(reason: Reason) -> Verdict {
    let certificate = |alias, readable: bool| CertificateVerdict {
        alias,
        secret_name: format!("pool-{alias}-cert"),
        ready: reason == Reason::CertificatesIssued,
        reason: Some(reason),
        message: "words".into(),
        fingerprint: readable.then(|| Fingerprint::of_der(b"leaf")),
        not_before: readable.then(|| at("2026-01-01T00:00:00Z")),
        not_after: readable.then(|| at("2027-01-01T00:00:00.5Z")),
    };
    Verdict {
        pgpool: id(),
        generation: 7,
        ready: reason == Reason::CertificatesIssued,
        reason: Some(reason),
        message: "a sentence".into(),
        certificates: vec![
            certificate(Alias::Server, true),
            certificate(Alias::MetricsExporter, false),
        ],
    }
}

#[test]
fn a_verdict_loses_nothing() {
    let wire = v1::Verdict::from(&verdict(Reason::KeyMismatch));
    let pgpool = wire.pgpool.unwrap();
    assert_eq!(
        (
            pgpool.namespace.as_str(),
            pgpool.name.as_str(),
            pgpool.uid.as_str()
        ),
        ("demo", "pool", "u")
    );
    assert_eq!(
        (wire.generation, wire.ready, wire.reason.as_str()),
        (7, false, "KeyMismatch")
    );
    assert_eq!(wire.message, "a sentence");
    let [server, exporter] = wire.certificates.as_slice() else {
        panic!("two")
    };
    assert_eq!(
        (server.alias.as_str(), exporter.alias.as_str()),
        ("server", "metrics-exporter")
    );
    assert_eq!(server.secret_name, "pool-server-cert");
    assert_eq!(server.fingerprint, Fingerprint::of_der(b"leaf").to_string());
    assert_eq!(server.not_before.unwrap().seconds, 1_767_225_600);
    assert_eq!(server.not_after.unwrap().nanos, 500_000_000);
    assert_eq!(
        (server.reason.as_str(), server.message.as_str()),
        ("KeyMismatch", "words")
    );
    assert_eq!(
        (
            exporter.fingerprint.as_str(),
            exporter.not_before,
            exporter.not_after
        ),
        ("", None, None)
    );
}

#[tokio::test]
async fn verdicts_come_as_known_then_synced_then_changed() {
    let verdicts = Arc::new(VerdictStore::default());
    verdicts.publish(verdict(Reason::Issuing));
    let drain = CancellationToken::new();
    let service = Verdicts::new(Arc::clone(&verdicts), leader(), drain.clone());
    let stream = service
        .watch_verdicts(Request::new(WatchVerdictsRequest {}))
        .await
        .unwrap();
    let mut stream = stream.into_inner();
    let mut next = async || {
        stream
            .next()
            .await
            .unwrap()
            .map(|response| response.event.unwrap())
    };

    let Event::Verdict(known) = next().await.unwrap() else {
        panic!("the known first")
    };
    assert_eq!(known.reason, "Issuing");
    assert!(matches!(next().await.unwrap(), Event::Synced(_)));
    verdicts.publish(verdict(Reason::CertificatesIssued));
    let Event::Verdict(changed) = next().await.unwrap() else {
        panic!("then the change")
    };
    assert!(changed.ready);
    verdicts.remove("demo", "pool");
    let Event::Removed(removed) = next().await.unwrap() else {
        panic!("then the end")
    };
    assert_eq!(removed.uid, "u");
    drain.cancel();
    assert_eq!(next().await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_listener_that_falls_behind_begins_anew() {
    let verdicts = Arc::new(VerdictStore::default());
    let service = Verdicts::new(Arc::clone(&verdicts), leader(), CancellationToken::new());
    let stream = service
        .watch_verdicts(Request::new(WatchVerdictsRequest {}))
        .await
        .unwrap();
    for _ in 0..2000 {
        verdicts.publish(verdict(Reason::Issuing));
        verdicts.publish(verdict(Reason::IssueFailed));
    }
    let mut stream = stream.into_inner();
    assert!(matches!(
        stream.next().await.unwrap().unwrap().event,
        Some(Event::Synced(_))
    ));
    assert_eq!(
        stream.next().await.unwrap().unwrap_err().code(),
        Code::Unavailable
    );
}

#[tokio::test]
async fn a_standby_sends_everybody_on() {
    let service = Verdicts::new(Arc::default(), standby(), CancellationToken::new());
    let service: &Verdicts = &service;
    let refused = service
        .watch_verdicts(Request::new(WatchVerdictsRequest {}))
        .await;
    assert_eq!(refused.err().unwrap().code(), Code::Unavailable);
    let service = Flows::new(Arc::new(Fake::default()), standby(), CancellationToken::new());
    let refused = service.get_flow(Request::new(GetFlowRequest {
        namespace: "demo".into(),
        name: "pool".into(),
    }));
    assert_eq!(refused.await.unwrap_err().code(), Code::Unavailable);
}

struct Fake {
    flow: Mutex<Option<Flow>>,
    changes: broadcast::Sender<()>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            flow: Mutex::default(),
            changes: broadcast::Sender::new(8),
        }
    }
}

impl Fake {
    fn set(&self, flow: Option<Flow>) {
        *self.flow.lock().unwrap() = flow;
        self.changes.send(()).unwrap_or_default();
    }
}

impl FlowSource for Fake {
    fn flow(&self, namespace: &str, name: &str) -> Option<Flow> {
        self.flow
            .lock()
            .unwrap()
            .clone()
            .filter(|_| (namespace, name) == ("demo", "pool"))
    }

    fn changes(&self, _: &str, _: &str) -> Pin<Box<dyn Stream<Item = ()> + Send>> {
        Box::pin(BroadcastStream::new(self.changes.subscribe()).map(|_| ()))
    }
}

fn flow(state: StepState) -> Flow {
    let step = Step {
        number: 1,
        actor: Actor::CertManager,
        title: "title",
        state,
        done_at: (state == StepState::Done).then(|| at("2026-06-01T12:00:00Z")),
        detail: "detail".into(),
    };
    Flow {
        pgpool: id(),
        steps: vec![step],
    }
}

#[test]
fn a_flow_loses_nothing() {
    for (state, wire, waiting_for) in [
        (StepState::Pending, WireState::Pending, ""),
        (StepState::Waiting, WireState::Waiting, "detail"),
        (StepState::Done, WireState::Done, ""),
        (StepState::NotNeeded, WireState::NotNeeded, ""),
    ] {
        let flow = convert::flow(&flow(state));
        assert_eq!(flow.waiting_for, waiting_for);
        let step = &flow.steps[0];
        assert_eq!(
            (step.number, step.actor.as_str(), step.title.as_str()),
            (1, "cert-manager", "title")
        );
        assert_eq!((step.state(), step.detail.as_str()), (wire, "detail"));
        assert_eq!(step.done_at.is_some(), state == StepState::Done);
    }
}

#[tokio::test]
async fn a_flow_is_found_or_refused_by_name() {
    let source = Arc::new(Fake::default());
    source.set(Some(flow(StepState::Waiting)));
    let service = Flows::new(source, leader(), CancellationToken::new());
    for (namespace, name, expected) in [
        ("demo", "pool", Code::Ok),
        ("demo", "other", Code::NotFound),
        ("", "pool", Code::InvalidArgument),
        ("demo", "", Code::InvalidArgument),
    ] {
        let request = GetFlowRequest {
            namespace: namespace.into(),
            name: name.into(),
        };
        let code = service
            .get_flow(Request::new(request))
            .await
            .map_or_else(|status| status.code(), |_| Code::Ok);
        assert_eq!(code, expected, "{namespace}/{name}");
    }
}

#[tokio::test]
async fn a_watched_flow_comes_when_it_changes_and_ends_with_the_pgpool() {
    let source = Arc::new(Fake::default());
    source.set(Some(flow(StepState::Waiting)));
    let service = Flows::new(Arc::clone(&source), leader(), CancellationToken::new());
    let request = WatchFlowRequest {
        namespace: "demo".into(),
        name: "pool".into(),
    };
    let mut stream = service
        .watch_flow(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    let state = |response: v1::WatchFlowResponse| response.flow.unwrap().steps[0].state();
    assert_eq!(state(stream.next().await.unwrap().unwrap()), WireState::Waiting);
    source.set(Some(flow(StepState::Waiting)));
    source.set(Some(flow(StepState::Done)));
    assert_eq!(
        state(stream.next().await.unwrap().unwrap()),
        WireState::Done,
        "the same is not sent twice"
    );
    source.set(None);
    assert_eq!(stream.next().await.unwrap().unwrap_err().code(), Code::NotFound);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_watched_flow_ends_at_the_drain() {
    let source = Arc::new(Fake::default());
    source.set(Some(flow(StepState::Waiting)));
    let drain = CancellationToken::new();
    let service = Flows::new(source, leader(), drain.clone());
    let request = WatchFlowRequest {
        namespace: "demo".into(),
        name: "pool".into(),
    };
    let mut stream = service
        .watch_flow(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    assert!(stream.next().await.unwrap().is_ok());
    drain.cancel();
    assert_eq!(
        stream.next().await.unwrap().unwrap_err().code(),
        Code::Unavailable
    );
    assert!(stream.next().await.is_none());
}
