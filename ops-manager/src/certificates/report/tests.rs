//! What is reported: for each fault of a Secret, for each obstacle, and when there is none.

mod faults;
mod lifetime;
mod stalled;
mod warnings;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator_runtime::{Availability, Lookup, Outcome};
use shared_types::conditions::Reason;
use shared_types::explanation::Explanation;
use shared_types::{Alias, Pgpool};

use super::{Report, outcome, report};
use crate::cert_manager::{CertificateRequest, CertificateRequestStatus, CertificateStatus};
use crate::certificates::apply::Applied;
use crate::certificates::observe::{IssuerState, Observed, Presence};
use crate::certificates::own_status::OwnStatus;
use crate::fixtures::{
    Authority, asked, at, change_certificate, change_secret, condition, decided, decided_at, issued, now,
    pgpool, pgpool_with, prepared, present,
};

/// What befalls the world.
type Change = fn(&mut Observed);

fn reported_at(pgpool: &Pgpool, observed: &Observed, now: Timestamp) -> Report {
    let mut observed = observed.clone();
    observed.recent.status = OwnStatus::of(pgpool);
    let observed = &observed;
    let decision = decided_at(pgpool, observed, now);
    report(pgpool, observed, &decision, &Applied::default(), now).unwrap()
}

fn reported(pgpool: &Pgpool, observed: &Observed) -> Report {
    reported_at(pgpool, observed, now())
}

fn data(secret: &mut Secret) -> &mut BTreeMap<String, ByteString> {
    secret.data.as_mut().unwrap()
}

/// Reissues the server certificate with changes that cert-manager would not make.
fn reissue(observed: &mut Observed, change: impl FnOnce(&mut rcgen::CertificateParams)) {
    let child = observed.children.get_mut(&Alias::Server).unwrap();
    let certificate = Arc::clone(child.certificate.as_ref().unwrap());
    child.secret = present(Authority::new("root").secret(&certificate, change));
}

#[test]
fn what_is_asked_for_is_what_is_needed() {
    let every_wish = pgpool_with(
        "certificates: [{alias: server, dnsNames: ['*.example.org', Upper.Example.org], ipAddresses: ['::1']}]",
    );
    for pgpool in [pgpool(), every_wish] {
        let report = reported(&pgpool, &issued(&pgpool));
        let verdict = &report.verdict;
        assert!(verdict.ready, "{}", verdict.message);
        assert_eq!(verdict.reason, Some(Reason::CertificatesIssued));
        assert_eq!(
            verdict.message,
            "the server, client and metrics-exporter certificates are issued and valid"
        );
        assert_eq!(
            verdict
                .certificates
                .iter()
                .map(|certificate| certificate.alias)
                .collect::<Vec<_>>(),
            Alias::ALL
        );
        assert!(
            verdict
                .certificates
                .iter()
                .all(|certificate| certificate.ready && certificate.fingerprint.is_some())
        );
        // A third of the lifetime is left then.
        assert_eq!(report.due, Some(at("2026-09-01T08:00:01Z")));
        assert_eq!(report.quiet_until, None);
    }
}

#[test]
fn good_certificates_stay_good_while_nothing_new_can_be_issued() {
    let pgpool = pgpool();
    let hindrances: [(Change, &str); 4] = [
        (
            |observed| observed.cert_manager = Availability::Absent,
            "; no new certificate can be issued: cert-manager",
        ),
        (
            |observed| {
                observed
                    .issuers
                    .values_mut()
                    .for_each(|state| *state = IssuerState::Absent);
            },
            "; no new certificate can be issued: Issuer demo/ca does not exist; create it",
        ),
        (
            |observed| {
                change_certificate(observed, Alias::Client, |certificate| {
                    let failed = condition("Issuing", "False", "Failed", "vault is sealed.");
                    certificate.status = Some(CertificateStatus {
                        conditions: vec![failed],
                        ..CertificateStatus::default()
                    });
                });
            },
            "Certificate demo/pool-client-cert could not be issued: vault is sealed; fix",
        ),
        (
            |observed| observed.prerequisites[4].presence = Presence::Absent,
            "certificates are issued and valid",
        ),
    ];
    for (hinder, words) in hindrances {
        let mut observed = issued(&pgpool);
        hinder(&mut observed);
        let verdict = reported(&pgpool, &observed).verdict;
        assert!(verdict.ready, "{}", verdict.message);
        assert!(verdict.message.contains(words), "{}", verdict.message);
        assert!(verdict.certificates.iter().all(|certificate| certificate.ready));
    }
}

#[test]
fn without_a_secret_the_hindrance_is_the_reason_and_is_told_once() {
    let pgpool = pgpool();
    let mut observed = prepared(&pgpool);
    observed
        .issuers
        .values_mut()
        .for_each(|state| *state = IssuerState::Absent);
    let report = reported(&pgpool, &observed);
    assert_eq!(report.verdict.reason, Some(Reason::IssuerNotFound));
    assert_eq!(
        report.verdict.message,
        "Issuer demo/ca does not exist; create it, or correct issuerRef"
    );
    assert_eq!(
        outcome(Some(&report), now()),
        Outcome::Waiting {
            reason: "IssuerNotFound",
            after: None
        }
    );
}

#[test]
fn an_unfit_secret_that_cannot_be_issued_again_tells_both() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    change_secret(&mut observed, Alias::Server, |secret| {
        drop(data(secret).remove("tls.key"));
    });
    observed.cert_manager = Availability::Absent;
    let verdict = reported(&pgpool, &observed).verdict;
    assert_eq!(verdict.reason, Some(Reason::SecretIncomplete));
    assert!(
        verdict.message.contains("; and cert-manager is not installed"),
        "{}",
        verdict.message
    );
}

#[test]
fn a_secret_of_the_former_issuer_does_not_do() {
    let before = pgpool();
    let observed_before = issued(&before);
    let after = pgpool_with("issuerRef: {kind: Issuer, name: new-ca}");
    let mut observed = prepared(&after);
    observed.children = observed_before.children;
    let verdict = reported(&after, &observed).verdict;
    assert_eq!(verdict.reason, Some(Reason::Issuing));
    let words = "; meanwhile the certificates of Issuer ca stay";
    assert!(verdict.message.contains(words), "{}", verdict.message);
    assert!(
        verdict.certificates[0].fingerprint.is_some(),
        "the provisioner must see which leaf is meant"
    );

    observed
        .issuers
        .values_mut()
        .for_each(|state| *state = IssuerState::Absent);
    let verdict = reported(&after, &observed).verdict;
    assert_eq!(verdict.reason, Some(Reason::IssuerNotFound));
    let words = "Issuer demo/new-ca does not exist; create it, or correct issuerRef; \
                 meanwhile the certificates of Issuer ca stay";
    assert_eq!(verdict.message, words, "reported once");
    // What stands there is used on, and so are its renewals.
    assert!(verdict.certificates.iter().all(|certificate| certificate.ready));
}

#[test]
fn a_contested_secret_is_refused_by_its_leaf() {
    let pgpool = pgpool_with("certificates: [{alias: client, secretName: pool-server-cert}]");
    let mut observed = issued(&pgpool_with("certificates: []"));
    let server = observed.children[&Alias::Server].secret.clone();
    observed.children.get_mut(&Alias::Client).unwrap().secret = server;
    let report = reported(&pgpool, &observed);
    assert_eq!(report.verdict.reason, Some(Reason::SecretNameConflict));
    assert!(report.verdict.certificates[0].ready);
    // Without the leaf the provisioner would not know which certificate is refused, and would verify it itself.
    let [server, client, _] = report.verdict.certificates.as_slice() else {
        panic!("three")
    };
    assert!(!client.ready && client.fingerprint.is_some(), "{client:?}");
    assert_eq!(client.fingerprint, server.fingerprint);
    let after = Some(Duration::from_secs(30));
    assert_eq!(
        outcome(Some(&report), now()),
        Outcome::Waiting {
            reason: "SecretNameConflict",
            after
        }
    );
}

/// What stands on a request: its conditions, and when it failed.
type Request = (Vec<crate::cert_manager::Condition>, Option<Time>);

#[test]
fn the_request_tells_why_cert_manager_failed() {
    let pgpool = pgpool();
    let failed = condition("Ready", "False", "Failed", "the CA refuses *.pool-pods.demo");
    let denied = condition("Denied", "True", "Policy", "not allowed by policy");
    let pending = condition("Ready", "False", "Pending", "Waiting on order");
    let time = Some(Time(now()));
    let cases: [(Request, Reason, &str); 4] = [
        (
            (vec![failed], None),
            Reason::IssueFailed,
            "could not be issued: the CA refuses *.pool-pods.demo; fix",
        ),
        (
            (vec![denied], None),
            Reason::IssueFailed,
            "could not be issued: not allowed by policy",
        ),
        (
            (vec![], time),
            Reason::IssueFailed,
            "could not be issued: CertificateRequest pool-server-cert-1 failed",
        ),
        (
            (vec![pending], None),
            Reason::Issuing,
            "is issuing Certificate demo/pool-server-cert: Waiting on order",
        ),
    ];
    for ((conditions, failure_time), reason, words) in cases {
        let mut observed = asked(&pgpool);
        let request = CertificateRequest {
            status: Some(CertificateRequestStatus {
                conditions,
                failure_time,
            }),
            metadata: kube::api::ObjectMeta {
                name: Some("pool-server-cert-1".into()),
                ..Default::default()
            },
            ..CertificateRequest::default()
        };
        observed.children.get_mut(&Alias::Server).unwrap().request = Some(Arc::new(request));
        let verdict = reported(&pgpool, &observed).verdict;
        assert_eq!(verdict.reason, Some(reason), "{}", verdict.message);
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
}

#[test]
fn a_certificate_with_an_open_circuit_is_not_ready_although_it_is_valid() {
    let pgpool = pgpool();
    let observed = issued(&pgpool);
    let decision = decided(&pgpool, &observed);
    let explanation = Explanation::new(Reason::CircuitOpen, "it went round and round");
    let applied = Applied {
        rejected: BTreeMap::from([(Alias::Client, explanation)]),
        ..Applied::default()
    };
    let verdict = report(&pgpool, &observed, &decision, &applied, now())
        .unwrap()
        .verdict;
    assert_eq!(
        (verdict.ready, verdict.reason),
        (false, Some(Reason::CircuitOpen))
    );
    assert_eq!(verdict.message, "it went round and round");
    let [server, client, _] = verdict.certificates.as_slice() else {
        panic!("three")
    };
    assert!(server.ready && !client.ready);
    assert!(
        client.fingerprint.is_some(),
        "the provisioner must see which leaf is refused"
    );
}

#[test]
fn a_rejection_by_the_api_server_is_published() {
    let pgpool = pgpool();
    let observed = prepared(&pgpool);
    let decision = decided(&pgpool, &observed);
    let explanation = Explanation::new(Reason::NameConflict, "Certificate demo/x belongs to y");
    let applied = Applied {
        rejected: BTreeMap::from([(Alias::Server, explanation)]),
        ..Applied::default()
    };
    let report = report(&pgpool, &observed, &decision, &applied, now()).unwrap();
    assert_eq!(report.verdict.reason, Some(Reason::NameConflict));
    assert!(
        report
            .verdict
            .message
            .starts_with("Certificate demo/x belongs to y"),
        "{}",
        report.verdict.message
    );
}

#[test]
fn secrets_that_cannot_be_seen_are_told_apart() {
    let pgpool = pgpool();
    for (secret, reason, words) in [
        (Lookup::Pending, Reason::Issuing, "Looking up Secret demo/"),
        (
            Lookup::Forbidden,
            Reason::IssueFailed,
            "grant it get, list and watch on Secrets",
        ),
        (
            Lookup::Absent,
            Reason::Issuing,
            "cert-manager is issuing Certificate demo/pool-server-cert",
        ),
    ] {
        let mut observed = issued(&pgpool);
        observed.children.get_mut(&Alias::Server).unwrap().secret = secret;
        let verdict = reported(&pgpool, &observed).verdict;
        assert_eq!(verdict.reason, Some(reason));
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
}

#[test]
fn what_only_a_change_of_the_spec_mends_is_rejected() {
    let pgpool = pgpool_with("issuerRef: {kind: Isuer, name: ca}");
    let report = reported(&pgpool, &prepared(&pgpool));
    assert_eq!(
        outcome(Some(&report), now()),
        Outcome::Rejected {
            reason: "IssuerKindUnsupported"
        }
    );
}
