//! What can be wrong with a Secret, one fault after the other.

use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator_runtime::{Availability, Outcome};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use shared_types::conditions::Reason;
use shared_types::{Alias, names};

use crate::cert_manager::{self, CertificateStatus, Condition};
use crate::certificates::report::outcome;
use crate::fixtures::{
    self, Authority, asked, by_certificate, change_certificate, change_secret, condition, issued, now,
    pgpool, pgpool_with, present,
};

use super::{Change, data, reissue, reported};

/// A fault of the server Secret, and the reason and words of the condition.
type Damage = (&'static str, Change, Reason, &'static str);

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
        "fix the issuer",
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
        assert_eq!(verdict.reason, Some(*reason), "{name}: {}", verdict.message);
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
            "only what is wrong is reported"
        );
        let [server, client, _] = verdict.certificates.as_slice() else {
            panic!("three")
        };
        assert_eq!((server.ready, server.reason), (false, Some(*reason)), "{name}");
        assert!(client.ready, "{name}");
        assert!(
            matches!(outcome(Some(&report), now()), Outcome::Waiting { .. }),
            "{name}"
        );
    }
}

/// How far cert-manager is with a Certificate of generation 2: conditions `Ready` with the generation that it speaks of,
/// and `Issuing`.
type Stage = (
    &'static str,
    Option<(&'static str, i64)>,
    Option<(&'static str, &'static str)>,
);

#[test]
fn a_new_wish_is_no_fault_while_it_is_seen_to() {
    let wish = pgpool_with("certificates: [{alias: server, dnsNames: [db.example.org]}]");
    let stages: [(Stage, bool, Reason); 7] = [
        (("not sent", Some(("True", 2)), None), false, Reason::Issuing),
        (("not seen", Some(("True", 1)), None), true, Reason::Issuing),
        (("seen", Some(("False", 2)), None), true, Reason::Issuing),
        (
            ("begun", Some(("True", 2)), Some(("True", "ManuallyTriggered"))),
            true,
            Reason::Issuing,
        ),
        (
            ("given up", Some(("False", 2)), Some(("False", "Failed"))),
            true,
            Reason::NameMissing,
        ),
        (
            ("issued without it", Some(("True", 2)), None),
            true,
            Reason::NameMissing,
        ),
        (("nothing said", None, None), true, Reason::NameMissing),
    ];
    for ((stage, ready, issuing), sent, reason) in stages {
        let mut observed = issued(&pgpool());
        if sent {
            observed.children.get_mut(&Alias::Server).unwrap().certificate =
                asked(&wish).children[&Alias::Server].certificate.clone();
        }
        change_certificate(&mut observed, Alias::Server, |certificate| {
            let ready = ready.map(|(status, generation)| Condition {
                observed_generation: Some(generation),
                ..condition("Ready", status, "Reason", "words")
            });
            let issuing = issuing.map(|(status, reason)| Condition {
                last_transition_time: Some(Time(now())),
                ..condition("Issuing", status, reason, "words")
            });
            certificate.metadata.generation = Some(2);
            certificate.status = Some(CertificateStatus {
                conditions: ready.into_iter().chain(issuing).collect(),
                ..CertificateStatus::default()
            });
        });
        let verdict = reported(&wish, &observed).verdict;
        assert_eq!(verdict.reason, Some(reason), "{stage}: {}", verdict.message);
        let server = &verdict.certificates[0];
        assert!(
            !server.ready && server.fingerprint.is_some(),
            "{stage}: what is refused must be named"
        );
        let in_progress = "cert-manager is issuing Certificate demo/pool-server-cert";
        assert_eq!(
            verdict.message.starts_with(in_progress),
            reason == Reason::Issuing,
            "{stage}: {}",
            verdict.message
        );
    }
}

#[test]
fn a_damaged_secret_is_a_fault_though_a_new_one_is_under_way() {
    let wish = pgpool_with("certificates: [{alias: server, dnsNames: [db.example.org]}]");
    let mut observed = issued(&pgpool());
    change_secret(&mut observed, Alias::Server, |secret| {
        drop(data(secret).remove("tls.key"));
    });
    let verdict = reported(&wish, &observed).verdict;
    assert_eq!(verdict.reason, Some(Reason::SecretIncomplete));
    let mut observed = issued(&pgpool());
    observed.cert_manager = Availability::Absent;
    let verdict = reported(&wish, &observed).verdict;
    assert_eq!(verdict.reason, Some(Reason::NameMissing), "nothing is under way");
}

#[test]
fn who_overwrote_a_secret_is_named() {
    let pgpool = pgpool();
    let write = |secret: &mut k8s_openapi::api::core::v1::Secret| {
        drop(data(secret).remove("tls.key"));
        let annotations = secret.metadata.annotations.as_mut().unwrap();
        annotations.insert(names::ANNOTATION_WRITTEN_BY.into(), "external-secrets".into());
    };
    let words = "it was written by \"external-secrets\" and not by cert-manager";
    let mut observed = issued(&pgpool);
    change_secret(&mut observed, Alias::Server, write);
    let message = reported(&pgpool, &observed).verdict.message;
    assert!(message.contains(words), "{message}");
    // Where it was never cert-manager's, it is no wonder.
    change_secret(&mut observed, Alias::Server, |secret| {
        drop(
            secret
                .metadata
                .annotations
                .as_mut()
                .unwrap()
                .remove(cert_manager::CERTIFICATE_NAME),
        );
    });
    let message = reported(&pgpool, &observed).verdict.message;
    assert!(!message.contains("external-secrets"), "{message}");
}

#[test]
fn a_client_certificate_for_another_user_is_reported() {
    let pgpool = by_certificate(pgpool());
    let mut observed = issued(&pgpool);
    let child = observed.children.get_mut(&Alias::Client).unwrap();
    let mut certificate = (**child.certificate.as_ref().unwrap()).clone();
    certificate.spec.common_name = Some("mallory".into());
    child.secret = present(Authority::new("root").secret(&certificate, |_| ()));
    let verdict = reported(&pgpool, &observed).verdict;
    assert_eq!(
        verdict.reason,
        Some(Reason::CommonNameMismatch),
        "{}",
        verdict.message
    );
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
