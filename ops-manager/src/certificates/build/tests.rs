//! The three Certificates as a whole, and each way in which a user shapes them.

use kube::ResourceExt;
use shared_types::certificates::NO_ROLE;
use shared_types::pgpool::Subject;
use shared_types::{Alias, Pgpool};

use crate::cert_manager::Certificate;
use crate::certificates::observe::Observed;
use crate::fixtures::{
    built, change_certificate, change_secret, decided, issued, named, pgpool, pgpool_with, prepared,
};

fn certificates(pgpool: &Pgpool) -> [Certificate; 3] {
    let built = built(pgpool, &prepared(pgpool));
    let aliases: Vec<_> = built.iter().map(|(alias, _)| *alias).collect();
    assert_eq!(aliases, Alias::ALL);
    built
        .into_iter()
        .map(|(_, certificate)| certificate)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

#[test]
fn all_three_of_a_plain_pgpool() {
    insta::assert_yaml_snapshot!(certificates(&pgpool()));
}

#[test]
fn all_three_with_every_wish() {
    let pgpool = pgpool_with(
        "
        issuerRef: {apiGroup: cert-manager.io, kind: ClusterIssuer, name: company}
        certificates:
        - alias: server
          secretName: my-server
          subject: {organizations: [kubedb], organizationalUnits: [dba], countries: [DE], localities: [Berlin],
                    provinces: [BE], streetAddresses: [Long 1], postalCodes: ['10115'], serialNumber: '42'}
          duration: 2160h
          renewBefore: 360h
          dnsNames: [db.example.org, pool]
          ipAddresses: ['10.0.0.7', '2001:db8::1']
          uris: ['spiffe://cluster/pool']
          emailAddresses: [dba@example.org]
          privateKey: {encoding: PKCS8}
        - alias: client
          issuerRef: {kind: Issuer, name: people}
        ",
    );
    insta::assert_yaml_snapshot!(certificates(&pgpool));
}

#[test]
fn the_order_in_which_names_are_written_changes_nothing() {
    let one = pgpool_with(
        "certificates: [{alias: server, dnsNames: [a.org, b.org], ipAddresses: ['10.0.0.1', '10.0.0.2']}]",
    );
    let other = pgpool_with(
        "certificates: [{alias: server, dnsNames: [b.org, a.org, b.org, pool], ipAddresses: ['10.0.0.2', '127.0.0.1', '10.0.0.1']}]",
    );
    assert_eq!(certificates(&one), certificates(&other));
}

#[test]
fn metrics_ask_for_no_new_certificate() {
    let mut with_metrics = pgpool();
    with_metrics.spec.monitor = serde_yaml::from_str("agent: prometheus.io/operator").unwrap();
    assert_eq!(certificates(&pgpool()), certificates(&with_metrics));
}

#[test]
fn a_common_name_that_is_too_long_is_left_out() {
    for (length, expected) in [(55, true), (56, false)] {
        let pgpool = named(pgpool(), &"p".repeat(length));
        let [server, client, _] = certificates(&pgpool);
        assert_eq!(server.spec.common_name.is_some(), expected, "{length}");
        assert!(server.spec.common_name.is_none_or(|name| name.len() <= 64));
        assert_eq!(client.spec.common_name.as_deref(), Some(NO_ROLE));
    }
}

#[test]
fn each_kind_of_key_is_requested_whole() {
    for (asked, [algorithm, encoding, rotation], size) in [
        ("{}", ["RSA", "PKCS1", "Always"], Some(2048)),
        (
            "{size: 3072, rotationPolicy: Never}",
            ["RSA", "PKCS1", "Never"],
            Some(3072),
        ),
        ("{algorithm: ECDSA}", ["ECDSA", "PKCS1", "Always"], Some(256)),
        (
            "{algorithm: ECDSA, size: 384, encoding: PKCS8}",
            ["ECDSA", "PKCS8", "Always"],
            Some(384),
        ),
        ("{algorithm: Ed25519}", ["Ed25519", "PKCS1", "Always"], None),
    ] {
        let pgpool = pgpool_with(&format!("certificates: [{{alias: client, privateKey: {asked}}}]"));
        let [server, client, _] = certificates(&pgpool);
        let key = client.spec.private_key.unwrap();
        let texts = [&key.algorithm, &key.encoding, &key.rotation_policy].map(|text| text.clone().unwrap());
        assert_eq!(
            (texts, key.size),
            ([algorithm, encoding, rotation].map(str::to_owned), size),
            "{asked}"
        );
        assert_eq!(server.spec.private_key.unwrap().size, Some(2048));
    }
}

#[test]
fn fewer_names_are_requested_where_the_spec_says_so() {
    let service = certificates(&pgpool_with("names: service"));
    let own = certificates(&pgpool_with(
        "{names: own, certificates: [{alias: server, dnsNames: [db.example.org], ipAddresses: ['10.0.0.7']}]}",
    ));
    let names = |certificates: &[Certificate; 3]| {
        let of_one = |certificate: &Certificate| {
            let spec = &certificate.spec;
            let common_name = spec.common_name.clone().unwrap_or_default();
            (
                common_name,
                [&spec.dns_names[..], &spec.ip_addresses].concat().join(" "),
            )
        };
        certificates.each_ref().map(of_one)
    };
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    let full = "pool.demo.svc.cluster.local";
    assert_eq!(
        names(&service),
        [
            pair(full, full),
            pair(NO_ROLE, ""),
            pair(NO_ROLE, "pool-stats.demo.svc.cluster.local")
        ]
    );
    assert_eq!(
        names(&own),
        [
            pair("db.example.org", "db.example.org 10.0.0.7"),
            pair(NO_ROLE, ""),
            pair(NO_ROLE, "")
        ]
    );
}

#[test]
fn names_of_objects_stay_within_63_characters() {
    let pgpool = named(pgpool(), &"p".repeat(63));
    for certificate in certificates(&pgpool) {
        let name = certificate.metadata.name.unwrap();
        assert!(name.len() <= 63 && name.ends_with("-cert"), "{name}");
        assert_eq!(certificate.spec.secret_name, name);
    }
}

#[test]
fn what_is_refused_is_not_built() {
    let pgpool = pgpool_with("certificates: [{alias: client, secretName: pool-server-cert}]");
    let built = built(&pgpool, &prepared(&pgpool));
    assert_eq!(
        built.iter().map(|(alias, _)| *alias).collect::<Vec<_>>(),
        [Alias::Server, Alias::MetricsExporter]
    );
}

#[test]
fn of_two_certificates_on_one_secret_ours_gives_way_when_it_does_not_hold_it() {
    let pgpool = pgpool();
    let mut observed = issued(&pgpool);
    assert!(decided(&pgpool, &observed).delete.is_empty());
    change_secret(&mut observed, Alias::Server, |secret| {
        let notes = secret.metadata.annotations.as_mut().unwrap();
        notes.insert("cert-manager.io/certificate-name".into(), "website".into());
    });
    let names = |observed: &Observed| {
        let withdrawn = decided(&pgpool, observed).delete;
        withdrawn
            .iter()
            .map(|certificate| certificate.name_any())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&observed), ["pool-server-cert"]);
    let asked: Vec<_> = built(&pgpool, &observed)
        .into_iter()
        .map(|(alias, _)| alias)
        .collect();
    assert_eq!(asked, [Alias::Client, Alias::MetricsExporter]);
    // What is written to another Secret fights with nobody.
    change_certificate(&mut observed, Alias::Server, |certificate| {
        certificate.spec.secret_name = "elsewhere".into();
    });
    assert!(names(&observed).is_empty());
}

#[test]
fn without_tls_our_own_certificates_go_and_no_others() {
    let mut pgpool = pgpool();
    let mut observed = issued(&pgpool);
    change_certificate(&mut observed, Alias::Client, |certificate| {
        certificate.metadata.owner_references = None;
    });
    pgpool.spec.tls = None;
    pgpool.spec.ssl_mode = None;
    assert!(built(&pgpool, &observed).is_empty());
    let decision = decided(&pgpool, &observed);
    let names: Vec<_> = decision
        .delete
        .iter()
        .map(|certificate| certificate.name_any())
        .collect();
    assert_eq!(names, ["pool-server-cert", "pool-metrics-exporter-cert"]);
}

#[test]
fn an_empty_subject_is_none() {
    let mut pgpool = pgpool_with("certificates: [{alias: server, subject: {}}]");
    assert_eq!(
        pgpool.spec.tls.as_mut().unwrap().certificates[0].subject,
        Some(Subject::default())
    );
    assert_eq!(certificates(&pgpool)[0].spec.subject, None);
}
