//! A `ca.crt` that is not enough for clients: a warning where they log in by password, a fault where it lets them in.

use operator_runtime::Outcome;
use shared_types::conditions::{ConditionType, Reason};
use shared_types::{Alias, Pgpool};

use super::{Change, data, reported, reported_at};
use crate::certificates::observe::Observed;
use crate::certificates::own_status::OwnStatus;
use crate::certificates::report::{outcome, own_status};
use crate::fixtures::{
    Authority, asked, at, by_certificate, change_secret, issued, now, pgpool, pgpool_with, present,
};

fn without_ca(observed: &mut Observed) {
    for alias in Alias::ALL {
        change_secret(observed, alias, |secret| drop(data(secret).remove("ca.crt")));
    }
}

#[test]
fn an_issuer_without_a_ca_is_a_warning_that_is_told_once() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    without_ca(&mut observed);
    let report = reported(&pgpool, &observed);
    let verdict = &report.verdict;
    assert!(verdict.ready, "{}", verdict.message);
    assert_eq!(verdict.reason, Some(Reason::RootNotPublished));
    assert!(
        matches!(outcome(Some(&report), now()), Outcome::ConvergedUntil(_)),
        "nothing is waited for"
    );
    let message = &verdict.message;
    assert!(
        message.starts_with("the server, client and metrics-exporter certificates are issued and valid; ")
    );
    for secret in [
        "pool-server-cert",
        "pool-client-cert",
        "pool-metrics-exporter-cert",
    ] {
        assert!(message.contains(&format!("Secret demo/{secret} (")), "{message}");
    }
    assert_eq!(message.matches("ca.crt is missing").count(), 1, "{message}");
    for certificate in &verdict.certificates {
        assert!(certificate.ready && certificate.message.contains("ca.crt is missing"));
        assert_eq!(certificate.reason, Some(Reason::RootNotPublished));
    }
    let status = own_status(Some(&report), &OwnStatus::default(), now());
    let ready = status.condition(ConditionType::CertificatesReady).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("True", "RootNotPublished")
    );

    // What has to be renewed is more urgent, and the warning stays.
    let late = reported_at(&pgpool, &observed, at("2026-12-20T00:00:00Z")).verdict;
    assert_eq!(late.reason, Some(Reason::ExpiresSoon));
    assert!(late.message.contains("ca.crt is missing"), "{}", late.message);
}

#[test]
fn an_intermediate_in_ca_crt_is_a_warning_until_it_lets_clients_in() {
    let (root, department) = Authority::with_intermediate("company root", "department");
    for (pgpool, reason) in [
        (pgpool(), Reason::RootNotPublished),
        (by_certificate(pgpool()), Reason::RootMissing),
    ] {
        let mut observed = asked(&pgpool);
        for child in observed.children.values_mut() {
            let certificate = child.certificate.clone().unwrap();
            child.secret = present(department.secret(&certificate, |_| ()));
        }
        let verdict = reported(&pgpool, &observed).verdict;
        assert_eq!(verdict.reason, Some(reason), "{}", verdict.message);
        for words in ["Secret demo/pool-", "\"CN=department\"", "\"CN=company root\""] {
            assert!(verdict.message.contains(words), "{}", verdict.message);
        }
        // With the root beside it, nothing is lacking.
        for alias in Alias::ALL {
            change_secret(&mut observed, alias, |secret| {
                let ca = data(secret).get_mut("ca.crt").unwrap();
                ca.0.extend_from_slice(root.pem().as_bytes());
            });
        }
        let verdict = reported(&pgpool, &observed).verdict;
        assert!(!verdict.message.contains("sslrootcert"), "{}", verdict.message);
        assert_ne!(verdict.reason, Some(reason), "{}", verdict.message);
    }
}

#[test]
fn what_is_not_ready_comes_before_what_clients_lack() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    without_ca(&mut observed);
    change_secret(&mut observed, Alias::Client, |secret| {
        drop(data(secret).remove("tls.key"));
    });
    let verdict = reported(&pgpool, &observed).verdict;
    assert_eq!(verdict.reason, Some(Reason::SecretIncomplete));
    assert!(!verdict.message.contains("ca.crt"), "{}", verdict.message);
}

#[test]
fn a_ca_that_lets_clients_in_has_to_be_there() {
    let own = "certificates: [{alias: server, issuerRef: {kind: Issuer, name: public}}]";
    let rows: [(Pgpool, Change, Option<&str>); 4] = [
        (by_certificate(pgpool()), without_ca, Some("pool-server-cert")),
        (
            by_certificate(pgpool()),
            |observed| change_secret(observed, Alias::Client, |it| drop(data(it).remove("ca.crt"))),
            Some("pool-client-cert"),
        ),
        // Nobody is let in by the CA of the server.
        (
            by_certificate(pgpool_with(own)),
            |observed| change_secret(observed, Alias::Server, |it| drop(data(it).remove("ca.crt"))),
            None,
        ),
        (pgpool(), without_ca, None),
    ];
    for (pgpool, damage, fault) in rows {
        let mut observed = issued(&pgpool);
        damage(&mut observed);
        let verdict = reported(&pgpool, &observed).verdict;
        assert_eq!(verdict.ready, fault.is_none(), "{}", verdict.message);
        let reason = match fault {
            Some(_) => Reason::CaMissing,
            None => Reason::RootNotPublished,
        };
        assert_eq!(verdict.reason, Some(reason), "{}", verdict.message);
        if let Some(secret) = fault {
            let start = format!("Secret demo/{secret} (");
            assert!(verdict.message.starts_with(&start), "{}", verdict.message);
        }
    }
}
