//! What each operation changes, and what comes next.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use shared_types::Phase;
use shared_types::conditions::ConditionType;

use std::sync::Arc;

use shared_types::Pgpool;
use shared_types::conditions::OpsCondition;
use shared_types::ops_request::OpsType;

use super::*;
use crate::cert_manager::{CertificateSpec, CertificateStatus, IssuerReference};
use crate::fixtures::ops::{condition, ready, request, rolling};
use crate::fixtures::{at, now};
use crate::ops_requests::report;

/// A Certificate of the issuer of the fixtures, issued so many times.
fn certificate(issuer: &str, revision: i64) -> Arc<Certificate> {
    let ready = crate::fixtures::condition("Ready", "True", "Ready", "up to date");
    Arc::new(Certificate {
        metadata: ObjectMeta::default(),
        spec: CertificateSpec {
            issuer_ref: IssuerReference {
                group: "cert-manager.io".into(),
                kind: "Issuer".into(),
                name: issuer.into(),
            },
            ..CertificateSpec::default()
        },
        status: Some(CertificateStatus {
            conditions: vec![ready],
            revision: Some(revision),
            ..CertificateStatus::default()
        }),
    })
}

fn facts(pgpool: Pgpool, revision: i64) -> Facts {
    Facts {
        pgpool: Some(Arc::new(pgpool)),
        certificates: Alias::ALL
            .iter()
            .map(|alias| (*alias, certificate("ca", revision)))
            .collect(),
        control_port: None,
    }
}

/// A status with these steps done, after a change to a generation.
fn after(
    request: &PgpoolOpsRequest,
    done: &[OpsCondition],
    generation: Option<i64>,
) -> PgpoolOpsRequestStatus {
    let replaced = certificates_to_replace(request, &facts(ready(1), 1));
    let mut status = report::started(request, replaced, now());
    for step in done {
        report::step_done(request, &mut status, *step, String::new(), now());
    }
    status.database_generation = generation;
    status
}

/// What comes next, in one word: the condition of the step that is done or was reached, or the reason to wait or to end.
fn word(request: &PgpoolOpsRequest, status: &PgpoolOpsRequestStatus, facts: &Facts) -> String {
    match next(request, &operation(request).steps(request), status, facts, now()) {
        Next::Do(step) => format!("do {}", step.condition),
        Next::Done { step, .. } => format!("reached {}", step.condition),
        Next::Stop(Resolution::Waiting(it)) => format!("waits {}", it.reason),
        Next::Stop(Resolution::Failed(it)) => format!("failed {}", it.reason),
        Next::Stop(Resolution::Successful { .. }) => "done".to_owned(),
        Next::Stop(other) => panic!("{other:?}"),
    }
}

use OpsCondition::{
    CertificateSynced, ConfigurationApplied, ControlPortSynced, HorizontalScale, IssueCertificates,
    ResizePods, RestartPods, UpdateCredential, UpdateDatabase,
};

#[test]
fn each_operation_is_a_list_of_steps() {
    use OpsType::{
        HorizontalScaling, Reconfigure, ReconfigureTls, Restart, RotateAuth, UpdateVersion, VerticalScaling,
    };
    let cases: [(OpsType, &str, &[OpsCondition]); 12] = [
        (Restart, "{}", &[UpdateDatabase, RestartPods]),
        (HorizontalScaling, "{}", &[UpdateDatabase, HorizontalScale]),
        (VerticalScaling, "{}", &[UpdateDatabase, RestartPods]),
        (
            VerticalScaling,
            "verticalScaling: {mode: InPlace}",
            &[UpdateDatabase, ResizePods],
        ),
        (Reconfigure, "{}", &[UpdateDatabase, ConfigurationApplied]),
        (UpdateVersion, "{}", &[UpdateDatabase, RestartPods]),
        (RotateAuth, "{}", &[UpdateCredential, ControlPortSynced]),
        (
            RotateAuth,
            "authentication: {secretRef: {name: mine}}",
            &[UpdateDatabase, UpdateCredential, ControlPortSynced],
        ),
        (
            ReconfigureTls,
            "tls: {issuerRef: {kind: Issuer, name: new}}",
            &[UpdateDatabase, CertificateSynced, RestartPods],
        ),
        (
            ReconfigureTls,
            "tls: {rotateCertificates: true}",
            &[IssueCertificates, CertificateSynced, RestartPods],
        ),
        (
            ReconfigureTls,
            "tls: {rotateCertificates: true, issuerRef: {kind: Issuer, name: new}}",
            &[UpdateDatabase, CertificateSynced, IssueCertificates, RestartPods],
        ),
        (
            ReconfigureTls,
            "tls: {remove: true}",
            &[UpdateDatabase, RestartPods],
        ),
    ];
    for (type_, spec, expected) in cases {
        let request = request("one", type_, spec);
        let steps: Vec<_> = operation(&request)
            .steps(&request)
            .iter()
            .map(|step| step.condition)
            .collect();
        assert_eq!(steps, expected, "{type_:?} {spec}");
    }
}

#[test]
fn a_change_is_waited_for_until_the_pool_says_so_itself() {
    let request = request("one", OpsType::HorizontalScaling, "horizontalScaling: {node: 3}");
    let fresh = after(&request, &[], None);
    assert_eq!(word(&request, &fresh, &facts(ready(1), 1)), "do UpdateDatabase");
    let edited = after(&request, &[UpdateDatabase], Some(2));
    let mut unnoticed = ready(1);
    unnoticed.metadata.generation = Some(2);
    let mut unready = ready(2);
    unready.status.as_mut().unwrap().phase = Some(Phase::Critical);
    let mut early = ready(2);
    early.status.as_mut().unwrap().conditions[0].observed_generation = Some(1);
    let mut stuck = ready(2);
    let stalled = condition(
        ConditionType::Stalled,
        "True",
        "ConfigurationInvalid",
        "no such setting",
        2,
    );
    stuck.status.as_mut().unwrap().conditions.push(stalled);
    let cases = vec![
        // The cache may be late: then it shows a pool that is ready, of before.
        (ready(1), "waits WaitingForPgpool"),
        (unnoticed, "waits WaitingForPgpool"),
        (rolling(2), "waits WaitingForPgpool"),
        (unready, "waits WaitingForPgpool"),
        (early, "waits WaitingForPgpool"),
        (stuck, "failed PgpoolStalled"),
        (ready(2), "reached HorizontalScale"),
        // Somebody has changed something else since.
        (ready(3), "reached HorizontalScale"),
    ];
    for (pgpool, expected) in cases {
        let facts = facts(pgpool, 1);
        assert_eq!(word(&request, &edited, &facts), expected, "{:?}", facts.pgpool);
    }
    assert_eq!(
        word(&request, &edited, &Facts::default()),
        "failed PgpoolNotFound"
    );
    let scaled = after(&request, &[UpdateDatabase, HorizontalScale], Some(2));
    assert_eq!(word(&request, &scaled, &facts(rolling(3), 1)), "done");
}

/// A pool with other certificates than those of the fixtures.
fn renewed(alias: &[Alias], served: &str) -> Pgpool {
    let mut pgpool = ready(1);
    let status = pgpool.status.as_mut().unwrap();
    for entry in &mut status.certificates {
        if alias.contains(&entry.alias) {
            entry.fingerprint = Some(format!("new-{}", entry.alias));
        }
    }
    status.pods[0].served_fingerprint = Some(served.into());
    pgpool
}

#[test]
fn a_rotation_is_over_when_every_pod_serves_a_certificate_that_is_new() {
    let request = request("one", OpsType::ReconfigureTls, "tls: {rotateCertificates: true}");
    let began = after(&request, &[], None);
    assert_eq!(began.replaced_certificates.len(), 3);
    assert_eq!(began.replaced_certificates[0].revision, Some(1));
    assert_eq!(
        began.replaced_certificates[0].fingerprint.as_deref(),
        Some("old-server")
    );
    assert_eq!(
        word(&request, &began, &facts(ready(1), 1)),
        "do IssueCertificates"
    );

    let asked = after(&request, &[IssueCertificates], None);
    let all = &Alias::ALL;
    let cases = vec![
        (ready(1), 1, "waits WaitingForCertificates"),
        // Issued, but not verified yet.
        (ready(1), 2, "waits WaitingForCertificates"),
        // The Secret is there before cert-manager counts it.
        (renewed(all, "old-server"), 1, "waits WaitingForCertificates"),
        (
            renewed(&[Alias::Server], "old-server"),
            2,
            "waits WaitingForCertificates",
        ),
        (renewed(all, "old-server"), 2, "reached CertificateSynced"),
    ];
    for (pgpool, revision, expected) in cases {
        assert_eq!(word(&request, &asked, &facts(pgpool, revision)), expected);
    }

    let issued = after(&request, &[IssueCertificates, CertificateSynced], None);
    assert_eq!(
        word(&request, &issued, &facts(renewed(all, "old-server"), 2)),
        "waits WaitingForCertificates"
    );
    assert_eq!(
        word(&request, &issued, &facts(renewed(all, "new-server"), 2)),
        "reached RestartPods"
    );
    let mut two = renewed(all, "new-server");
    two.spec.replicas = Some(2);
    assert_eq!(
        word(&request, &issued, &facts(two, 2)),
        "waits WaitingForCertificates"
    );
}

#[test]
fn another_issuer_is_waited_for_until_it_has_issued_everything() {
    let request = request(
        "one",
        OpsType::ReconfigureTls,
        "tls: {issuerRef: {kind: Issuer, name: new}}",
    );
    let edited = after(&request, &[UpdateDatabase], Some(2));
    let mut changed = ready(2);
    operation(&request).change(&request, now(), &mut changed.spec);
    assert_eq!(
        word(&request, &edited, &facts(changed.clone(), 1)),
        "waits WaitingForCertificates"
    );
    let mut issued = facts(changed.clone(), 2);
    issued.certificates = Alias::ALL
        .iter()
        .map(|alias| (*alias, certificate("new", 2)))
        .collect();
    assert_eq!(word(&request, &edited, &issued), "reached CertificateSynced");
    // One is left.
    issued.certificates.insert(Alias::Client, certificate("ca", 1));
    assert_eq!(word(&request, &edited, &issued), "waits WaitingForCertificates");
    // Verified for the previous spec.
    changed.status.as_mut().unwrap().conditions[1].observed_generation = Some(1);
    issued.certificates.insert(Alias::Client, certificate("new", 2));
    issued.pgpool = Some(Arc::new(changed));
    assert_eq!(word(&request, &edited, &issued), "waits WaitingForCertificates");
}

#[test]
fn a_new_password_is_in_force_when_pgpool_has_it() {
    let request = request("one", OpsType::RotateAuth, "{}");
    let made = after(&request, &[UpdateCredential], None);
    assert!(needs_control_port(&operation(&request).steps(&request), &made));
    assert!(!needs_control_port(
        &operation(&request).steps(&request),
        &after(&request, &[], None)
    ));
    for (known, expected) in [
        (None, "waits WaitingForControlPort"),
        (Some(false), "waits WaitingForControlPort"),
        (Some(true), "reached ControlPortSynced"),
    ] {
        let facts = Facts {
            control_port: known,
            ..facts(ready(1), 1)
        };
        assert_eq!(word(&request, &made, &facts), expected);
    }
}

#[test]
fn each_step_has_the_time_that_the_user_gives() {
    let request = request("one", OpsType::Restart, "{timeout: 2m}");
    let mut status = after(&request, &[], None);
    report::step_done(
        &request,
        &mut status,
        UpdateDatabase,
        String::new(),
        at("2026-06-01T12:01:30Z"),
    );
    status.database_generation = Some(2);
    let steps = operation(&request).steps(&request);
    let facts = facts(rolling(2), 1);
    let waits = next(&request, &steps, &status, &facts, at("2026-06-01T12:03:00Z"));
    let Next::Stop(Resolution::Waiting(explanation)) = waits else {
        panic!("{waits:?}");
    };
    assert_eq!(
        explanation.retry_after,
        Some(Duration::from_secs(30)),
        "and reconciles again when it is over"
    );
    let over = next(&request, &steps, &status, &facts, at("2026-06-01T12:03:30Z"));
    let Next::Stop(Resolution::Failed(Explanation { reason, message, .. })) = over else {
        panic!("{over:?}");
    };
    assert_eq!(reason, OpsReason::TimedOut);
    assert!(
        message.contains("2m") && message.contains("0 of 1 pods"),
        "{message}"
    );
    // A write that the API server does not answer has no more time.
    let fresh = after_nothing(&request);
    assert!(matches!(
        next(&request, &steps, &fresh, &facts, at("2026-06-01T12:03:30Z")),
        Next::Stop(_)
    ));
}

fn after_nothing(request: &PgpoolOpsRequest) -> PgpoolOpsRequestStatus {
    after(request, &[], None)
}
