//! `CN=postgres` under a CA of that name, before it is requested and after.

use std::sync::Arc;

use shared_types::Alias;
use shared_types::certificates::NO_ROLE;
use shared_types::conditions::Reason;

use super::*;
use crate::certificates::apply::Applied;
use crate::certificates::report::{Report, report};
use crate::fixtures::{Authority, asked, by_certificate, decided, issue, issued, now, pgpool, present};

fn reported(pgpool: &Pgpool, observed: &Observed) -> Report {
    let decision = decided(pgpool, observed);
    report(pgpool, observed, &decision, &Applied::default(), now()).unwrap()
}

/// Every certificate without a role, as they are requested first.
fn first_issued(pgpool: &Pgpool, authority: &Authority) -> Observed {
    let mut observed = asked(pgpool);
    for alias in Alias::ALL {
        issue(&mut observed, pgpool, alias, authority);
    }
    observed
}

#[test]
fn a_login_with_the_name_of_its_ca_is_not_requested() {
    let pgpool = by_certificate(pgpool());
    for (ca, refused) in [
        ("postgres", true),
        (" Postgres ", true),
        ("root", false),
        (NO_ROLE, false),
    ] {
        let observed = first_issued(&pgpool, &Authority::new(ca));
        let validated = decided(&pgpool, &observed).validated.unwrap();
        for wanted in &validated.wanted {
            let logs_in = wanted.alias != Alias::Server;
            let is_refused = matches!(wanted.order, Err(Refusal::SubjectOfCa { .. }));
            assert_eq!(is_refused, refused && logs_in, "{ca:?} {}", wanted.alias);
        }
        if refused {
            let report = reported(&pgpool, &observed);
            assert_eq!(report.reason, Reason::SubjectOfCa);
            let message = report.verdict.message;
            for words in [
                "\"CN=postgres\"",
                "Issuer demo/ca",
                "issue the CA again under another name",
            ] {
                assert!(message.contains(words), "{message}");
            }
        }
    }
}

#[test]
fn the_ca_behind_the_issuer_counts_before_anything_is_issued() {
    let pgpool = pgpool();
    let mut observed = asked(&pgpool);
    let issuer = decided(&pgpool, &observed)
        .validated
        .unwrap()
        .wanted
        .remove(0)
        .issuer
        .unwrap();
    let mut refused = |ca: &str| {
        let known = IssuerCa::Known(Authority::new(ca).pem().into_bytes());
        observed.issuer_cas.insert(issuer.clone(), known);
        let wanted = decided(&pgpool, &observed).validated.unwrap().wanted;
        wanted
            .iter()
            .filter(|it| it.order.is_err())
            .map(|it| it.alias)
            .collect::<Vec<_>>()
    };
    assert_eq!(refused("pool.demo.svc"), [Alias::Server]);
    assert_eq!(refused("root"), []);
}

#[test]
fn a_self_signed_certificate_has_no_ca() {
    let pgpool = by_certificate(pgpool());
    let mut observed = issued(&pgpool);
    for child in observed.children.values_mut() {
        let certificate = Arc::clone(child.certificate.as_ref().unwrap());
        let name = certificate.spec.common_name.clone().unwrap();
        child.secret = present(Authority::new(&name).secret(&certificate, |_| ()));
    }
    let wanted = decided(&pgpool, &observed).validated.unwrap().wanted;
    assert!(wanted.iter().all(|it| it.order.is_ok()));
}
