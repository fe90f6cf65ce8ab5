mod checks;
mod initialized;
mod monitored;
mod phase;
mod work;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use operator_runtime::apply::ApplyError;
use shared_types::Phase;
use shared_types::conditions::is_false;
use shared_types::explanation::Blocked;
use tls_bundle::Fingerprint;

use super::*;
use crate::fixtures::{Pair, Pki, now, parse, plain_pgpool, secret, tls_pgpool};
use crate::health::{Login, PodHealth, ServedCertificate};
use crate::own_status::{OURS, differ_in_messages_only, ours};
use crate::pgpool::apply::Progress;
use crate::pgpool::decide::handoff::Verifier;
use crate::pgpool::decide::init_job::InitState;
use crate::pgpool::decide::{CertificateState, fixtures};
use crate::pgpool::observe::pods::PodFacts;
use crate::pgpool::observe::{ForeignPod, Lookup};

const VERIFIED: CertificateState = CertificateState::Verified(Verifier::Channel);

/// A `Pgpool` whose three pods run, serve and accept logins.
struct World {
    pgpool: Pgpool,
    observed: Observed,
    /// Nothing about users is looked at.
    validated: Result<Validated, Blocked>,
    decision: Result<Decision<'static>, Blocked>,
    applied: Applied,
}

fn stateful_set() -> StatefulSet {
    parse(
        "
metadata: {name: pool, generation: 2}
spec: {selector: {}, serviceName: pool-pods, template: {spec: {containers: []}}}
status: {replicas: 3, observedGeneration: 2, currentRevision: b, updateRevision: b}
",
    )
}

fn leaf(pair: &Pair) -> ServedCertificate {
    ServedCertificate {
        fingerprint: pair.fingerprint,
        not_after: Some("2040-01-01T00:00:00Z".parse().unwrap()),
    }
}

impl World {
    fn new() -> Self {
        let pair = Pki::new().server(&["pool.demo.svc".to_owned()]);
        let mut observed = Observed::default();
        observed.live.tls_copies.insert(
            "pool-tls-b".to_owned().into(),
            Arc::new(secret("pool-tls-b", &pair)),
        );
        for ordinal in 0..3 {
            let uid = format!("u{ordinal}");
            observed.pods.push(PodFacts {
                name: format!("pool-{ordinal}"),
                ordinal,
                uid: uid.clone(),
                ip: Some([10, 0, 0, 1].into()),
                ready: true,
                revision: Some("b".to_owned()),
                mounted_certificates: Some("pool-tls-b".to_owned().into()),
                trouble: None,
                ..PodFacts::default()
            });
            let standing = PodHealth {
                served: Some(leaf(&pair)),
                login: Login::Accepted,
                failures: 0,
            };
            observed.pod_health.insert(uid, standing);
        }
        let applied = Applied {
            progress: Progress::Written,
            stateful_set: Some(stateful_set()),
            monitoring_failure: None,
            synced: false,
            resize_rejected: false,
            init: InitState::NotRequested,
            init_failure: None,
            probing: true,
        };
        let mut world = Self {
            pgpool: tls_pgpool(),
            observed,
            validated: Err(Blocked::Unknown),
            decision: Ok(fixtures::foundation_only()),
            applied,
        };
        world.certificates(VERIFIED);
        world
    }

    fn progress(progress: Progress) -> Self {
        let mut world = Self::new();
        world.applied.progress = progress;
        world
    }

    fn certificates(&mut self, state: CertificateState) {
        self.decision.as_mut().ok().unwrap().certificates = state;
    }

    fn stop(&mut self, blocked: Blocked) {
        self.decision = Err(blocked);
        self.applied.progress = Progress::Stopped;
    }

    fn refuse(&mut self, pod: usize, message: &str) {
        let login = Login::Refused {
            fault: "broken".into(),
            reason: None,
            message: message.to_owned(),
        };
        self.standing(pod).login = login;
    }

    fn standing(&mut self, pod: usize) -> &mut PodHealth {
        self.observed.pod_health.get_mut(&format!("u{pod}")).unwrap()
    }

    fn unready(&mut self, pod: usize) {
        self.observed.pods[pod].ready = false;
    }

    /// The status before.
    fn before(&mut self, status: PgpoolStatus) {
        self.pgpool.status = Some(status);
    }

    fn report(&self) -> Report {
        self.report_at(now())
    }

    fn report_at(&self, now: Timestamp) -> Report {
        report(
            &self.pgpool,
            &self.observed,
            &self.validated,
            &self.decision,
            &self.applied,
            now,
        )
    }

    fn status(&self) -> PgpoolStatus {
        self.report().status.unwrap()
    }
}

/// `Type=Status/Reason` of each condition.
fn shown(status: &PgpoolStatus) -> Vec<String> {
    let shown = |it: &Condition| format!("{}={}/{}", it.type_, it.status, it.reason);
    status.conditions.iter().map(shown).collect()
}

fn message(status: &PgpoolStatus, ty: ConditionType) -> String {
    find(&status.conditions, ty)
        .map(|it| it.message.clone())
        .unwrap_or_default()
}

const HEALTHY: [&str; 6] = [
    "ProvisioningStarted=True/DatabaseProvisioningStartedSuccessfully",
    "ReplicaReady=True/AllReplicasReady",
    "AcceptingConnection=True/DatabaseAcceptingConnectionRequest",
    "Ready=True/ReadinessCheckSucceeded",
    "Provisioned=True/DatabaseSuccessfullyProvisioned",
    "Reconciling=False/Converged",
];
