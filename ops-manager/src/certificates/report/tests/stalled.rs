//! An issue that comes to a halt without anything having failed.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator_runtime::Lookup;
use shared_types::Alias;
use shared_types::conditions::{self, ConditionType, Reason};

use crate::cert_manager::{CertificateRequest, CertificateRequestStatus, CertificateStatus, Condition};
use crate::certificates::observe::Observed;
use crate::fixtures::{asked, at, change_certificate, condition, issued, now, pgpool};

use super::{reported, reported_at};

/// How far an issuance has got, since when, and what is reported when it makes no progress.
type Halt = (&'static str, fn(&mut Observed), &'static str);

const HALTS: [Halt; 4] = [
    (
        "cert-manager has begun and stands still",
        |observed| {
            change_certificate(observed, Alias::Server, |certificate| {
                let issuing = Condition {
                    last_transition_time: Some(Time(now())),
                    ..condition("Issuing", "True", "DoesNotExist", "words")
                };
                certificate.status = Some(CertificateStatus {
                    conditions: vec![issuing],
                    ..CertificateStatus::default()
                });
            });
        },
        "cert-manager has not created a CertificateRequest; check that cert-manager runs",
    ),
    (
        "nobody approves",
        |observed| request(observed, vec![]),
        "CertificateRequest demo/pool-server-cert-1 is not approved; check that the approver runs",
    ),
    (
        "nobody answers",
        |observed| request(observed, vec![approved()]),
        "is approved, but the issuer has not answered; check that the controller of Issuer ca of cert-manager.io runs",
    ),
    (
        "it pends",
        |observed| {
            let pending = condition("Ready", "False", "Pending", "Waiting on order x");
            request(observed, vec![approved(), pending]);
        },
        "CertificateRequest demo/pool-server-cert-1 is pending: Waiting on order x; resolve what it reports",
    ),
];

fn approved() -> Condition {
    condition("Approved", "True", "cert-manager.io", "approved")
}

fn request(observed: &mut Observed, conditions: Vec<Condition>) {
    let request = CertificateRequest {
        status: Some(CertificateRequestStatus {
            conditions,
            failure_time: None,
        }),
        metadata: kube::api::ObjectMeta {
            name: Some("pool-server-cert-1".into()),
            creation_timestamp: Some(Time(now())),
            ..Default::default()
        },
        ..CertificateRequest::default()
    };
    observed.children.get_mut(&Alias::Server).unwrap().request = Some(Arc::new(request));
}

#[test]
fn an_issue_that_comes_to_a_halt_is_told_with_who_has_to_go_on() {
    let pgpool = pgpool();
    for (name, halt, words) in HALTS {
        let mut observed = asked(&pgpool);
        halt(&mut observed);
        let before = reported(&pgpool, &observed);
        assert_eq!(
            before.verdict.reason,
            Some(Reason::Issuing),
            "{name}: at first it is given time"
        );
        assert_eq!(before.due, Some(at("2026-06-01T12:05:00Z")), "{name}");
        let verdict = reported_at(&pgpool, &observed, at("2026-06-01T12:05:00Z")).verdict;
        assert_eq!(
            verdict.reason,
            Some(Reason::IssueStalled),
            "{name}: {}",
            verdict.message
        );
        let since = "Certificate demo/pool-server-cert has not been issued since 2026-06-01T12:00:00Z: ";
        assert!(verdict.message.starts_with(since), "{name}: {}", verdict.message);
        assert!(verdict.message.contains(words), "{name}: {}", verdict.message);
    }
}

#[test]
fn a_deleted_secret_that_nobody_writes_again_is_told_as_a_halt() {
    let mut pgpool = pgpool();
    let mut observed = issued(&pgpool);
    observed.children.get_mut(&Alias::Server).unwrap().secret = Lookup::Absent;
    // While the condition has not reported it as missing, nobody has waited for it.
    let first = reported_at(&pgpool, &observed, at("2026-06-01T18:00:00Z")).verdict;
    assert_eq!(first.reason, Some(Reason::Issuing), "{}", first.message);
    let reported = conditions::condition(
        ConditionType::CertificatesReady,
        false,
        Reason::Issuing,
        "words",
        Some(1),
        at("2026-06-01T18:00:00Z"),
        &[],
    );
    pgpool.status.get_or_insert_default().conditions = vec![reported];
    let later = reported_at(&pgpool, &observed, at("2026-06-01T18:05:00Z")).verdict;
    assert_eq!(later.reason, Some(Reason::IssueStalled), "{}", later.message);
    assert!(
        later.message.contains("check that cert-manager runs"),
        "{}",
        later.message
    );
}

#[test]
fn a_renewal_that_comes_to_a_halt_takes_nothing_from_what_fits() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    change_certificate(&mut observed, Alias::Server, |certificate| {
        certificate.status = Some(CertificateStatus {
            conditions: vec![condition("Issuing", "True", "Renewing", "words")],
            ..CertificateStatus::default()
        });
    });
    let verdict = reported_at(&pgpool, &observed, at("2026-06-01T12:03:00Z")).verdict;
    assert!(verdict.ready, "{}", verdict.message);
    let words =
        "; no new certificate can be issued: Certificate demo/pool-server-cert has not been issued since";
    assert!(verdict.message.contains(words), "{}", verdict.message);
}
