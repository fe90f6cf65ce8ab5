//! The way of a Pgpool, stop by stop.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use operator_runtime::{Availability, Lookup};
use shared_types::conditions::{ConditionType, Reason};
use shared_types::pgpool::PodStatus;
use shared_types::{Alias, Pgpool, PgpoolStatus, SslMode};

use super::{Actor, Flow, StepState, flow};
use crate::cert_manager::CertificateStatus;
use crate::certificates::apply::Applied;
use crate::certificates::observe::{IssuerState, Observed, Presence};
use crate::certificates::report::report;
use crate::certificates::validate::validate;
use crate::fixtures::{
    DOMAIN, asked, at, change_certificate, change_secret, condition, decided_at, issued, pgpool, prepared,
};

fn standing(pgpool: &Pgpool, observed: &Observed) -> Flow {
    // So early that nothing counts as stalled.
    let now = at("2026-06-01T11:00:10Z");
    let validated = validate(pgpool, observed, DOMAIN);
    let decision = decided_at(pgpool, observed, now);
    let report = report(pgpool, observed, &decision, &Applied::default(), now);
    let verdict = report.map(|report| report.verdict);
    flow(pgpool, observed, validated.as_ref(), verdict.as_ref())
}

/// One letter per step: done, waiting, to come, not needed.
fn letters(flow: &Flow) -> String {
    let letter = |state| match state {
        StepState::Done => 'D',
        StepState::Waiting => 'W',
        StepState::Pending => '.',
        StepState::NotNeeded => '-',
    };
    flow.steps.iter().map(|step| letter(step.state)).collect()
}

fn with_conditions(mut pgpool: Pgpool, conditions: &[(ConditionType, bool, Reason, &str)]) -> Pgpool {
    let conditions = conditions.iter().map(|(ty, holds, reason, message)| Condition {
        type_: ty.to_string(),
        status: if *holds { "True" } else { "False" }.into(),
        reason: reason.to_string(),
        message: (*message).into(),
        observed_generation: Some(1),
        last_transition_time: Time(at("2026-06-01T11:00:06Z")),
    });
    pgpool.status = Some(PgpoolStatus {
        conditions: conditions.collect(),
        ..PgpoolStatus::default()
    });
    pgpool
}

fn seen(pgpool: Pgpool) -> Pgpool {
    with_conditions(pgpool, &[STARTED])
}

const STARTED: (ConditionType, bool, Reason, &str) = (
    ConditionType::ProvisioningStarted,
    true,
    Reason::DatabaseProvisioningStartedSuccessfully,
    "provisioning has started",
);

fn taken_up(mut observed: Observed) -> Observed {
    for alias in Alias::ALL {
        change_certificate(&mut observed, alias, |certificate| {
            let issuing = condition("Issuing", "True", "DoesNotExist", "issuing");
            certificate.status = Some(CertificateStatus {
                conditions: vec![issuing],
                ..Default::default()
            });
        });
    }
    observed
}

/// Stands a Pgpool before a world and looks at the letters and at what it waits for.
fn stop(pgpool: &Pgpool, observed: &Observed, expected: &str, waits_for: &str) {
    let flow = standing(pgpool, observed);
    assert_eq!(letters(&flow), expected, "{waits_for}: {flow:#?}");
    assert!(
        flow.waiting_for().starts_with(waits_for),
        "{}",
        flow.waiting_for()
    );
    assert_eq!(flow.waiting_for().is_empty(), waits_for.is_empty());
    let numbers: Vec<_> = flow.steps.iter().map(|step| step.number).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    assert!(flow.steps.iter().all(|step| !step.title.is_empty()));
    let mut undone = flow.steps.iter().filter(|step| step.state != StepState::Done);
    assert!(
        undone.all(|step| step.done_at.is_none() && !step.detail.is_empty()),
        "{flow:#?}"
    );
}

#[test]
fn first_come_the_issuer_and_what_the_provisioner_makes() {
    let plain = pgpool();
    let no_issuer = || {
        let mut observed = prepared(&plain);
        observed
            .issuers
            .values_mut()
            .for_each(|state| *state = IssuerState::Absent);
        observed
    };
    let mut nothing = no_issuer();
    for object in &mut nothing.prerequisites {
        object.presence = Presence::Absent;
    }
    stop(&plain, &nothing, "WD........", "Issuer demo/ca does not exist");
    stop(
        &seen(plain.clone()),
        &no_issuer(),
        "WDDD......",
        "Issuer demo/ca does not exist",
    );
    let mut no_cert_manager = prepared(&plain);
    no_cert_manager.cert_manager = Availability::Absent;
    stop(
        &seen(plain.clone()),
        &no_cert_manager,
        "WDDD......",
        "cert-manager is not installed",
    );
    let mut no_secrets = prepared(&plain);
    no_secrets.prerequisites[0].presence = Presence::Absent;
    stop(
        &seen(plain.clone()),
        &no_secrets,
        "DDDW......",
        "Secret demo/pool-auth",
    );
}

#[test]
fn then_the_certificates() {
    let pgpool = seen(pgpool());
    let name = "Certificate demo/pool-server-cert";
    stop(
        &pgpool,
        &prepared(&pgpool),
        "DDDDDW....",
        &format!("{name} is being created"),
    );
    stop(
        &pgpool,
        &asked(&pgpool),
        "DDDDDDW...",
        &format!("cert-manager to start on {name}"),
    );
    stop(
        &pgpool,
        &taken_up(asked(&pgpool)),
        "DDDDDDDW..",
        &format!("cert-manager is issuing {name}"),
    );
    let mut two_secrets = taken_up(issued(&pgpool));
    two_secrets.children.get_mut(&Alias::Client).unwrap().secret = Lookup::Absent;
    let name = "Certificate demo/pool-client-cert";
    stop(
        &pgpool,
        &two_secrets,
        "DDDDDDDW..",
        &format!("cert-manager is issuing {name}"),
    );
    let mut bad = taken_up(issued(&pgpool));
    change_secret(&mut bad, Alias::Server, |secret| secret.data = None);
    let words = "Secret demo/pool-server-cert (server certificate): tls.crt is missing";
    stop(&pgpool, &bad, "DDDDDDDDW.", words);
}

#[test]
fn last_come_the_pods() {
    let waits = (
        ConditionType::Reconciling,
        true,
        Reason::WaitingForCertificates,
        "waits for certificates",
    );
    let starts = (
        ConditionType::Reconciling,
        true,
        Reason::WaitingForPods,
        "Pod demo/pool-0 starts",
    );
    let ready = (
        ConditionType::ReplicaReady,
        true,
        Reason::AllReplicasReady,
        "1 of 1 pods are ready",
    );
    let observed = taken_up(issued(&pgpool()));
    for (condition, letters, waits_for) in [
        (waits, "DDDDDDDDW.", "the provisioner to take"),
        (starts, "DDDDDDDDDW", "Pod demo/pool-0 starts"),
        (ready, "DDDDDDDDDD", ""),
    ] {
        stop(
            &with_conditions(pgpool(), &[STARTED, condition]),
            &observed,
            letters,
            waits_for,
        );
    }
}

#[test]
fn steps_tell_when_they_were_done() {
    let ready = (
        ConditionType::ReplicaReady,
        true,
        Reason::AllReplicasReady,
        "1 of 1 pods are ready",
    );
    let verified = (
        ConditionType::CertificatesReady,
        true,
        Reason::CertificatesIssued,
        "fit",
    );
    let pgpool = with_conditions(pgpool(), &[STARTED, verified, ready]);
    let flow = standing(&pgpool, &taken_up(issued(&pgpool)));
    let times: Vec<_> = flow
        .steps
        .iter()
        .map(|step| step.done_at.unwrap().to_string())
        .collect();
    let expected = [
        "10:00:00", "11:00:00", "11:00:06", "11:00:01", "11:00:01", "11:00:02", "11:00:03", "11:00:04",
    ];
    for (time, expected) in times.iter().zip(expected) {
        assert_eq!(*time, format!("2026-06-01T{expected}Z"));
    }
    let actors: Vec<_> = flow.steps.iter().map(|step| step.actor).collect();
    let [user, provisioner, ops, cert] = [
        Actor::User,
        Actor::Provisioner,
        Actor::OpsManager,
        Actor::CertManager,
    ];
    assert_eq!(
        actors,
        [
            user,
            user,
            provisioner,
            provisioner,
            ops,
            ops,
            cert,
            cert,
            provisioner,
            provisioner
        ]
    );
}

#[test]
fn without_tls_the_certificates_steps_are_not_needed() {
    let mut plain = seen(pgpool());
    plain.spec.tls = None;
    plain.spec.ssl_mode = Some(SslMode::Disable);
    let observed = prepared(&plain);
    assert_eq!(letters(&standing(&plain, &observed)), "-DDD-----W");
}

#[test]
fn a_pod_that_serves_something_else_is_named() {
    let ready = (
        ConditionType::ReplicaReady,
        true,
        Reason::AllReplicasReady,
        "2 of 2 pods are ready",
    );
    let mut pgpool = with_conditions(pgpool(), &[STARTED, ready]);
    let pod = PodStatus {
        name: "pool-1".into(),
        ready: false,
        message: Some("serves another certificate".into()),
        ..PodStatus::default()
    };
    pgpool.status.as_mut().unwrap().pods = vec![pod];
    let flow = standing(&pgpool, &taken_up(issued(&pgpool)));
    assert_eq!(letters(&flow), "DDDDDDDDDW");
    assert_eq!(flow.waiting_for(), "Pod demo/pool-1: serves another certificate");
}

#[test]
fn before_the_first_verdict_it_says_what_it_waits_for() {
    let pgpool = seen(pgpool());
    let mut observed = taken_up(issued(&pgpool));
    let child = observed.children.get_mut(&Alias::Server).unwrap();
    child.certificate = child
        .certificate
        .take()
        .map(|certificate| Arc::new((*certificate).clone()));
    let validated = validate(&pgpool, &observed, DOMAIN);
    let flow = flow(&pgpool, &observed, validated.as_ref(), None);
    assert_eq!(letters(&flow), "DDDDDDDDW.");
    assert_eq!(flow.waiting_for(), "the certificates to be verified");
}
