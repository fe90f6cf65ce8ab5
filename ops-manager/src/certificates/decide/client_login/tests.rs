//! Whom certificates name, in which order they are requested, and what an issuer that others use changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use shared_types::certificates::{ACCEPTED_DANGER, LOGINS, NO_ROLE};
use shared_types::conditions::{ConditionType, Reason, condition};
use shared_types::{Alias, Pgpool, names};

use super::*;
use crate::cert_manager::{Certificate, IssuerReference};
use crate::certificates::apply::Applied;
use crate::certificates::observe::IssuerState;
use crate::certificates::report::report;
use crate::fixtures::{
    Authority, asked, built, by_certificate, decided, issued, issuer_state, now, pgpool, pgpool_with,
    prepared, present,
};

const CLUSTER: &str = "issuerRef: {kind: ClusterIssuer, name: company}";
const VAULT: &str = "issuerRef: {apiGroup: example.org, kind: VaultIssuer, name: company}";

/// The common name that is ordered for a certificate, or why it is not ordered.
fn ordered(pgpool: &Pgpool, observed: &Observed, alias: Alias) -> Result<String, Reason> {
    let validated = decided(pgpool, observed).validated.unwrap();
    let wanted = validated
        .wanted
        .into_iter()
        .find(|wanted| wanted.alias == alias)
        .unwrap();
    wanted
        .order
        .map(|order| order.common_name.unwrap())
        .map_err(|refusal| refusal.reason())
}

fn orders(pgpool: &Pgpool, observed: &Observed) -> [Result<String, Reason>; 2] {
    LOGINS.map(|alias| ordered(pgpool, observed, alias))
}

fn named(name: &str) -> [Result<String, Reason>; 2] {
    [Ok(name.to_owned()), Ok(name.to_owned())]
}

fn refused(reason: Reason) -> [Result<String, Reason>; 2] {
    [Err(reason), Err(reason)]
}

fn used(observed: &mut Observed, ca_use: CaUse) {
    observed.client_cas = LOGINS.map(|alias| (alias, ca_use)).into();
}

fn accepting(mut pgpool: Pgpool) -> Pgpool {
    let annotations = pgpool.metadata.annotations.get_or_insert_default();
    annotations.insert(
        names::ANNOTATION_SHARED_CLIENT_ISSUER.into(),
        ACCEPTED_DANGER.into(),
    );
    pgpool
}

/// It has been ready.
fn provisioned(mut pgpool: Pgpool) -> Pgpool {
    let type_ = ConditionType::Provisioned;
    let reason = Reason::DatabaseSuccessfullyProvisioned;
    let provisioned = condition(type_, true, reason, String::new(), None, now(), &[]);
    pgpool.status.get_or_insert_default().conditions.push(provisioned);
    pgpool
}

/// As issued for logins by password.
fn without_login(pgpool: &Pgpool) -> Observed {
    let mut passwords = pgpool.clone();
    passwords.spec.client_auth_mode = None;
    issued(&passwords)
}

#[test]
fn outside_cert_mode_no_certificate_names_a_role() {
    for pgpool in [pgpool(), pgpool_with(CLUSTER), accepting(pgpool())] {
        for mut observed in [prepared(&pgpool), issued(&pgpool)] {
            for ca_use in [CaUse::Own, CaUse::Elsewhere, CaUse::Unknown] {
                used(&mut observed, ca_use);
                assert_eq!(orders(&pgpool, &observed), named(NO_ROLE));
                assert_eq!(decided(&pgpool, &observed).client_issuer_shared, None);
            }
        }
    }
}

#[test]
fn the_role_is_named_when_the_ca_is_known_to_be_of_this_namespace_alone() {
    let pgpool = by_certificate(pgpool());
    assert_eq!(
        orders(&pgpool, &prepared(&pgpool)),
        named(NO_ROLE),
        "no CA is known yet"
    );
    assert_eq!(orders(&pgpool, &asked(&pgpool)), named(NO_ROLE));
    let mut observed = without_login(&pgpool);
    for (ca_use, expected) in [
        (CaUse::Own, named("postgres")),
        (CaUse::Elsewhere, refused(Reason::ClientCaUsedElsewhere)),
        (CaUse::Unknown, refused(Reason::Issuing)),
    ] {
        used(&mut observed, ca_use);
        assert_eq!(orders(&pgpool, &observed), expected);
        assert_eq!(
            decided(&pgpool, &observed).client_issuer_shared,
            None,
            "it does not run so"
        );
    }
    // Whoever means it needs no proof.
    assert_eq!(orders(&accepting(pgpool.clone()), &observed), named("postgres"));
    assert_eq!(
        orders(&accepting(pgpool.clone()), &prepared(&pgpool)),
        named("postgres")
    );
    // One of another issuer says nothing about this one.
    let moved = by_certificate(pgpool_with("issuerRef: {kind: Issuer, name: other}"));
    observed.issuers = prepared(&moved).issuers;
    used(&mut observed, CaUse::Elsewhere);
    assert_eq!(orders(&moved, &observed), named(NO_ROLE));
}

#[test]
fn an_issuer_of_every_namespace_is_refused_unless_it_is_meant() {
    for issuer in [CLUSTER, VAULT] {
        let pgpool = by_certificate(pgpool_with(issuer));
        let mut observed = prepared(&pgpool);
        observed.issuers = ready(&pgpool);
        assert_eq!(
            orders(&pgpool, &observed),
            refused(Reason::ClientIssuerNotNamespaced)
        );
        // Its server certificate lets nobody in.
        let server = decided(&pgpool, &observed).validated.unwrap().wanted.remove(0);
        assert!(server.order.is_ok());
        assert_eq!(orders(&accepting(pgpool), &observed), named("postgres"));
    }
    let own = by_certificate(pgpool_with(&format!(
        "{{{}, certificates: [{{alias: server, issuerRef: {{kind: ClusterIssuer, name: company}}}}]}}",
        "issuerRef: {kind: Issuer, name: ca}"
    )));
    assert_eq!(orders(&own, &without_login(&own)), named("postgres"));
}

/// A ready issuer for every certificate.
fn ready(pgpool: &Pgpool) -> BTreeMap<IssuerReference, IssuerState> {
    let issuers = IssuerReference::all_of(pgpool);
    issuers.map(|issuer| (issuer, issuer_state(true))).collect()
}

#[test]
fn what_runs_so_goes_on_and_tells() {
    let plain = by_certificate(pgpool());
    let mut observed = issued(&plain);
    assert_eq!(decided(&plain, &observed).client_issuer_shared, None);
    used(&mut observed, CaUse::Elsewhere);
    assert_eq!(orders(&plain, &observed), named("postgres"), "renewals go on");
    let reported = decided(&plain, &observed).client_issuer_shared.unwrap();
    assert_eq!(reported.reason, Reason::ClientCaUsedElsewhere);
    for words in [
        "Issuer demo/ca",
        "in another namespace",
        "log in as postgres",
        ACCEPTED_DANGER,
    ] {
        assert!(reported.message.contains(words), "{}", reported.message);
    }
    assert_eq!(
        decided(&accepting(plain.clone()), &observed).client_issuer_shared,
        None
    );

    // From before there was this rule.
    let cluster = by_certificate(pgpool_with(CLUSTER));
    let observed = issued(&accepting(cluster.clone()));
    assert_eq!(orders(&cluster, &observed), named("postgres"));
    let reported = decided(&cluster, &observed).client_issuer_shared.unwrap();
    assert_eq!(reported.reason, Reason::ClientIssuerNotNamespaced);

    // It does not begin to use such an issuer.
    let mut observed = issued(&plain);
    observed.issuers = ready(&cluster);
    assert_eq!(
        orders(&cluster, &observed),
        refused(Reason::ClientIssuerNotNamespaced)
    );
    // It may leave for another one of its namespace at once.
    let other = by_certificate(pgpool_with("issuerRef: {kind: Issuer, name: other}"));
    observed.issuers = ready(&other);
    assert_eq!(orders(&other, &observed), named("postgres"));
}

#[test]
fn a_refused_login_is_told_and_stops_nothing_that_runs() {
    let pgpool = by_certificate(pgpool());
    let mut observed = without_login(&pgpool);
    used(&mut observed, CaUse::Elsewhere);
    let reported = |pgpool: &Pgpool, observed: &Observed| {
        let decision = decided(pgpool, observed);
        let report = report(pgpool, observed, &decision, &Applied::default(), now()).unwrap();
        (report.verdict.ready, report.reason)
    };
    assert_eq!(
        reported(&pgpool, &observed),
        (false, Reason::ClientCaUsedElsewhere)
    );
    assert_eq!(
        reported(&provisioned(pgpool.clone()), &observed),
        (false, Reason::ClientCaUsedElsewhere)
    );

    // A certificate for the role that this operator has not requested.
    let mut given = issued(&pgpool);
    for child in given.children.values_mut() {
        let mut certificate = Certificate::clone(child.certificate.as_ref().unwrap());
        if certificate.spec.common_name.as_deref() == Some("postgres") {
            certificate.spec.common_name = Some(NO_ROLE.into());
            child.certificate = Some(Arc::new(certificate));
        }
    }
    used(&mut given, CaUse::Elsewhere);
    assert_eq!(reported(&pgpool, &given), (false, Reason::ClientCaUsedElsewhere));
    assert!(
        reported(&provisioned(pgpool.clone()), &given).0,
        "what runs keeps running"
    );
    used(&mut given, CaUse::Own);
    assert!(reported(&pgpool, &given).0);
}

#[test]
fn only_a_verified_signature_counts_as_one_of_the_ca() {
    let pgpool = by_certificate(pgpool());
    let key = |pem: &str| tls_bundle::ca_keys(pem.as_bytes())[0];
    let (own, copied) = (Authority::new("root"), Authority::new("root"));
    let mut observed = asked(&pgpool);
    for child in observed.children.values_mut() {
        let mut secret = own.secret(child.certificate.as_ref().unwrap(), |_| ());
        let ca = secret.data.as_mut().unwrap().get_mut("ca.crt").unwrap();
        ca.0.extend_from_slice(copied.pem().as_bytes());
        child.secret = present(secret);
    }
    let signers: Vec<_> = decided(&pgpool, &observed).signers.into_iter().collect();
    assert_eq!(signers, [key(&own.pem())], "not the one that stands beside it");
    for child in observed.children.values_mut() {
        let mut secret = copied.secret(child.certificate.as_ref().unwrap(), |_| ());
        let data = secret.data.as_mut().unwrap();
        data.get_mut("ca.crt").unwrap().0 = own.pem().into_bytes();
        child.secret = present(secret);
    }
    assert!(decided(&pgpool, &observed).signers.is_empty());
    assert_eq!(built(&pgpool, &observed).len(), 3);
}
