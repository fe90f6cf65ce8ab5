//! What is told: of each fault of a Secret, of each hindrance, and when nothing is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator_runtime::{Availability, Lookup, Outcome};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use shared_types::conditions::Reason;
use shared_types::{Alias, Pgpool, PgpoolStatus};

use super::{OwnStatus, Report, outcome, own_status, report};
use crate::cert_manager::{CertificateRequest, CertificateRequestStatus, CertificateStatus};
use crate::certificates::apply::{Applied, Problem};
use crate::certificates::judge::judge;
use crate::certificates::observe::{IssuerState, Observed, Presence};
use crate::certificates::validate::validate;
use crate::fixtures::{
    self, Authority, DOMAIN, asked, at, change_certificate, change_secret, condition, issued, needed, now,
    pgpool, pgpool_with, prepared, present,
};

fn reported_at(pgpool: &Pgpool, observed: &Observed, now: Timestamp) -> Report {
    let needed = needed(validate(pgpool, observed, DOMAIN));
    let judged = judge(&needed, observed, now);
    report(pgpool, &needed, observed, &judged, &Applied::default(), now)
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
        assert_eq!(verdict.reason, Reason::CertificatesIssued);
        assert_eq!(
            verdict.message,
            "the server, client and metrics-exporter certificates are issued and fit"
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
                .all(|certificate| certificate.ready && certificate.leaf.is_some())
        );
        assert_eq!(report.due, Some(at("2027-01-01T00:00:00Z")));
        assert_eq!(report.quiet_until, None);
    }
}

/// What befalls the server Secret, and the reason with the words that must be told.
type Damage = (&'static str, Change, Reason, &'static str);

type Change = fn(&mut Observed);

const DAMAGES: &[Damage] = &[
    (
        "a foreign key",
        |observed| {
            change_secret(observed, Alias::Server, |secret| {
                data(secret).insert(
                    "tls.key".into(),
                    ByteString(fixtures::key().serialize_pem().into()),
                );
            });
        },
        Reason::KeyMismatch,
        "delete the Secret",
    ),
    (
        "no key",
        |observed| {
            change_secret(observed, Alias::Server, |secret| {
                drop(data(secret).remove("tls.key"));
            });
        },
        Reason::SecretIncomplete,
        "delete the Secret",
    ),
    (
        "no ca.crt",
        |observed| {
            change_secret(observed, Alias::Server, |secret| {
                drop(data(secret).remove("ca.crt"));
            });
        },
        Reason::CaMissing,
        "use an issuer that publishes its CA",
    ),
    (
        "no data at all",
        |observed| change_secret(observed, Alias::Server, |secret| secret.data = None),
        Reason::SecretIncomplete,
        "delete the Secret",
    ),
    (
        "nonsense for a certificate",
        |observed| {
            change_secret(observed, Alias::Server, |secret| {
                data(secret).insert("tls.crt".into(), ByteString(b"nonsense".into()));
            });
        },
        Reason::CertificateUnreadable,
        "delete the Secret",
    ),
    (
        "an expired leaf",
        |observed| reissue(observed, |params| params.not_after = date_time_ymd(2026, 5, 1)),
        Reason::Expired,
        "2026-05-01T00:00:00Z",
    ),
    (
        "a leaf of tomorrow",
        |observed| reissue(observed, |params| params.not_before = date_time_ymd(2026, 6, 2)),
        Reason::NotYetValid,
        "2026-06-02T00:00:00Z",
    ),
    (
        "a missing name",
        |observed| reissue(observed, |params| params.subject_alt_names.truncate(4)),
        Reason::NameMissing,
        "\"pool\"",
    ),
    (
        "a missing usage",
        |observed| {
            reissue(observed, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            });
        },
        Reason::UsageMissing,
        "server auth",
    ),
    (
        "the CA of somebody else",
        |observed| {
            change_secret(observed, Alias::Server, |secret| {
                let certificate = asked(&pgpool()).children[&Alias::Server]
                    .certificate
                    .clone()
                    .unwrap();
                let other = Authority::new("another root").secret(&certificate, |_| ());
                data(secret).insert("ca.crt".into(), other.data.unwrap()["ca.crt"].clone());
            });
        },
        Reason::ChainBroken,
        "correct the issuer",
    ),
];

#[test]
fn each_fault_of_a_secret_is_told_with_its_name_and_cure() {
    let pgpool = pgpool();
    for (name, damage, reason, words) in DAMAGES {
        let mut observed = issued(&pgpool);
        damage(&mut observed);
        let report = reported(&pgpool, &observed);
        let verdict = &report.verdict;
        assert!(!verdict.ready, "{name}");
        assert_eq!(verdict.reason, *reason, "{name}: {}", verdict.message);
        let subject = "Secret demo/pool-server-cert (server certificate): ";
        assert!(
            verdict.message.starts_with(subject),
            "{name}: {}",
            verdict.message
        );
        assert!(verdict.message.contains(words), "{name}: {}", verdict.message);
        assert_eq!(
            verdict.message.matches("Secret demo/").count(),
            1,
            "only what is wrong is told"
        );
        let [server, client, _] = verdict.certificates.as_slice() else {
            panic!("three")
        };
        assert_eq!((server.ready, server.reason), (false, *reason), "{name}");
        assert!(client.ready, "{name}");
        assert!(
            matches!(outcome(Some(&report), now()), Outcome::Waiting { .. }),
            "{name}"
        );
    }
}

#[test]
fn a_client_certificate_for_another_user_is_told() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    let child = observed.children.get_mut(&Alias::Client).unwrap();
    let mut certificate = (**child.certificate.as_ref().unwrap()).clone();
    certificate.spec.common_name = Some("mallory".into());
    child.secret = present(Authority::new("root").secret(&certificate, |_| ()));
    let verdict = reported(&pgpool, &observed).verdict;
    assert_eq!(verdict.reason, Reason::CommonNameMismatch, "{}", verdict.message);
}

#[test]
fn both_roles_of_the_metrics_certificate_tell_a_fault_once() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    change_secret(&mut observed, Alias::MetricsExporter, |secret| {
        drop(data(secret).remove("tls.key"));
    });
    let message = reported(&pgpool, &observed).verdict.message;
    assert_eq!(message.matches("tls.key is missing").count(), 1, "{message}");
}

#[test]
fn an_expired_leaf_turns_bad_by_itself() {
    let pgpool = pgpool();
    let observed = issued(&pgpool);
    let end = at("2027-01-01T00:00:00Z");
    let before = reported_at(&pgpool, &observed, at("2026-12-31T23:59:00Z"));
    assert_eq!(
        outcome(Some(&before), at("2026-12-31T23:59:00Z")),
        Outcome::ConvergedUntil(Duration::from_mins(1))
    );
    let second_after = end.checked_add(Duration::from_secs(1)).unwrap();
    assert_eq!(
        reported_at(&pgpool, &observed, second_after).verdict.reason,
        Reason::Expired
    );
}

#[test]
fn a_leaf_of_tomorrow_is_looked_at_tomorrow() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    reissue(&mut observed, |params| {
        params.not_before = date_time_ymd(2026, 6, 2);
    });
    let report = reported(&pgpool, &observed);
    let after = Some(Duration::from_hours(12));
    assert_eq!(
        outcome(Some(&report), now()),
        Outcome::Waiting {
            reason: "NotYetValid",
            after
        }
    );
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
            "Certificate demo/pool-client-cert could not be issued: vault is sealed; correct",
        ),
        (
            |observed| observed.prerequisites[4].presence = Presence::Absent,
            "certificates are issued and fit",
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
    assert_eq!(report.verdict.reason, Reason::IssuerNotFound);
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
    assert_eq!(verdict.reason, Reason::SecretIncomplete);
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
    assert_eq!(verdict.reason, Reason::Issuing);
    let words = "; meanwhile the certificates of Issuer ca stay";
    assert!(verdict.message.contains(words), "{}", verdict.message);
    assert!(
        verdict.certificates[0].leaf.is_some(),
        "the provisioner must see which leaf is meant"
    );

    observed
        .issuers
        .values_mut()
        .for_each(|state| *state = IssuerState::Absent);
    let verdict = reported(&after, &observed).verdict;
    assert_eq!(verdict.reason, Reason::IssuerNotFound);
    let words = "Issuer demo/new-ca does not exist; create it, or correct issuerRef; \
                 meanwhile the certificates of Issuer ca stay";
    assert_eq!(verdict.message, words, "told once");
}

#[test]
fn a_contested_secret_is_not_judged() {
    let pgpool = pgpool_with("certificates: [{alias: client, secretName: pool-server-cert}]");
    let mut observed = issued(&pgpool_with("certificates: []"));
    let server = observed.children[&Alias::Server].secret.clone();
    observed.children.get_mut(&Alias::Client).unwrap().secret = server;
    let report = reported(&pgpool, &observed);
    assert_eq!(report.verdict.reason, Reason::SecretNameConflict);
    assert!(report.verdict.certificates[0].ready);
    assert_eq!(report.verdict.certificates[1].leaf, None);
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
            "could not be issued: the CA refuses *.pool-pods.demo; correct",
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
        assert_eq!(verdict.reason, reason, "{}", verdict.message);
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
}

#[test]
fn what_the_api_server_refuses_is_told() {
    let pgpool = pgpool();
    let observed = prepared(&pgpool);
    let needed = needed(validate(&pgpool, &observed, DOMAIN));
    let judged = judge(&needed, &observed, now());
    let problem = Problem {
        reason: Reason::NameConflict,
        message: "Certificate demo/x belongs to y".into(),
    };
    let applied = Applied {
        problems: BTreeMap::from([(Alias::Server, problem)]),
        ..Applied::default()
    };
    let report = report(&pgpool, &needed, &observed, &judged, &applied, now());
    assert_eq!(report.verdict.reason, Reason::NameConflict);
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
        (Lookup::Pending, Reason::Issuing, "is being looked up"),
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
        assert_eq!(verdict.reason, reason);
        assert!(verdict.message.contains(words), "{}", verdict.message);
    }
}

fn with_status(mut pgpool: Pgpool, own: OwnStatus) -> Pgpool {
    pgpool.status = Some(PgpoolStatus {
        conditions: own.conditions,
        certificates: own.certificates,
        ..PgpoolStatus::default()
    });
    pgpool
}

#[test]
fn what_every_new_pgpool_passes_through_is_not_written_at_once() {
    let pgpool = pgpool();
    let empty = OwnStatus::default();
    let mut without_service = prepared(&pgpool);
    without_service.prerequisites[4].presence = Presence::Absent;
    let mut unready_issuer = prepared(&pgpool);
    unready_issuer
        .issuers
        .values_mut()
        .for_each(|state| *state = fixtures::issuer_state(false));
    // The Pgpool is of 11:00:00, its Certificates of 11:00:02.
    for (observed, quiet_until) in [
        (without_service, "2026-06-01T11:00:03Z"),
        (unready_issuer, "2026-06-01T11:00:03Z"),
        (asked(&pgpool), "2026-06-01T11:00:05Z"),
    ] {
        let early = at("2026-06-01T11:00:02.5Z");
        let report = reported_at(&pgpool, &observed, early);
        assert_eq!(
            report.quiet_until,
            Some(at(quiet_until)),
            "{}",
            report.verdict.message
        );
        assert_eq!(own_status(Some(&report), &empty, early), empty);
        let Outcome::Waiting {
            after: Some(after), ..
        } = outcome(Some(&report), early)
        else {
            panic!("waits")
        };
        assert_eq!(
            after,
            Duration::try_from(at(quiet_until).duration_since(early)).unwrap()
        );

        let later = reported_at(&pgpool, &observed, at(quiet_until));
        assert_eq!(later.quiet_until, None);
        assert_ne!(own_status(Some(&later), &empty, at(quiet_until)), empty);
    }
    let mut missing = prepared(&pgpool);
    missing
        .issuers
        .values_mut()
        .for_each(|state| *state = IssuerState::Absent);
    let report = reported_at(&pgpool, &missing, at("2026-06-01T11:00:00Z"));
    assert_eq!(
        report.quiet_until, None,
        "what a person has to mend is told at once"
    );
}

#[test]
fn the_status_is_ours_alone_and_settles() {
    let mut pgpool = pgpool();
    pgpool.status = serde_yaml::from_str(
        "{phase: Ready, conditions: [{type: Ready, status: 'True', reason: x, message: '', lastTransitionTime: '2026-06-01T11:30:00Z'}]}",
    )
    .unwrap();
    let observed = issued(&pgpool);
    let current = OwnStatus::of(&pgpool);
    assert_eq!(
        current,
        OwnStatus::default(),
        "conditions of the provisioner are not ours"
    );

    let own = own_status(Some(&reported(&pgpool, &observed)), &current, now());
    let condition = own.condition().unwrap();
    assert_eq!(
        (condition.type_.as_str(), condition.status.as_str()),
        ("CertificatesReady", "True")
    );
    assert_eq!(condition.observed_generation, Some(1));
    assert_eq!(condition.last_transition_time, Time(now()));
    let server = &own.certificates[0];
    assert_eq!(server.fingerprint.as_ref().map(String::len), Some(64));
    assert_eq!(server.not_after, Some(Time(at("2027-01-01T00:00:00Z"))));

    let pgpool = with_status(pgpool, own.clone());
    let later = at("2026-06-01T13:00:00Z");
    let again = own_status(
        Some(&reported_at(&pgpool, &observed, later)),
        &OwnStatus::of(&pgpool),
        later,
    );
    assert_eq!(again, own, "nothing is left to write");

    let without_tls = own_status(None, &OwnStatus::of(&pgpool), later);
    assert_eq!(
        without_tls,
        OwnStatus::default(),
        "without TLS nothing of it stays"
    );
    assert_eq!(outcome(None, later), Outcome::Converged);
}

#[test]
fn the_transition_time_moves_with_the_status_only() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    let own = own_status(Some(&reported(&pgpool, &observed)), &OwnStatus::default(), now());
    let pgpool = with_status(pgpool, own);
    let later = at("2026-06-01T13:00:00Z");
    observed.cert_manager = Availability::Absent;
    let noted = own_status(
        Some(&reported_at(&pgpool, &observed, later)),
        &OwnStatus::of(&pgpool),
        later,
    );
    assert_eq!(
        noted.condition().unwrap().last_transition_time,
        Time(now()),
        "the message alone has changed"
    );
    change_secret(&mut observed, Alias::Server, |secret| secret.data = None);
    let turned = own_status(
        Some(&reported_at(&pgpool, &observed, later)),
        &OwnStatus::of(&pgpool),
        later,
    );
    assert_eq!(turned.condition().unwrap().last_transition_time, Time(later));
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
