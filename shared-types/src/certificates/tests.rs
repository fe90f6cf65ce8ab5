use serde_json::{Value, json};

use super::*;

fn pgpool(certificates: &Value) -> Pgpool {
    serde_json::from_value(json!({
        "apiVersion": "kubedb.com/v1alpha2",
        "kind": "Pgpool",
        "metadata": { "name": "pool", "namespace": "demo" },
        "spec": {
            "version": "4.5.0",
            "postgresRef": { "name": "orders" },
            "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" }, "certificates": certificates },
        },
    }))
    .unwrap()
}

fn roles(alias: Alias) -> Vec<Role> {
    let required = required(&pgpool(&json!([])), alias, "cluster.local");
    required.into_iter().map(|each| each.role).collect()
}

#[test]
fn each_certificate_serves_who_uses_it() {
    assert_eq!(roles(Alias::Server), [Role::Server]);
    assert_eq!(roles(Alias::Client), [Role::Client]);
    assert_eq!(roles(Alias::MetricsExporter), [Role::Client, Role::Server]);
}

fn in_mode(mode: ClientAuthMode, pgpool: Pgpool) -> Pgpool {
    let mut pgpool = pgpool;
    pgpool.spec.client_auth_mode = Some(mode);
    pgpool
}

#[test]
fn a_certificate_names_the_role_only_where_it_logs_in() {
    for mode in [ClientAuthMode::Md5, ClientAuthMode::Scram, ClientAuthMode::Cert] {
        let pgpool = in_mode(mode, pgpool(&json!([])));
        for alias in Alias::ALL {
            for each in required(&pgpool, alias, "cluster.local") {
                let logs_in = mode == ClientAuthMode::Cert && each.role == Role::Client;
                let expected = logs_in.then_some(CLIENT_USER);
                assert_eq!(each.common_name.as_deref(), expected, "{alias} {mode:?}");
            }
        }
    }
}

#[test]
fn a_whole_ca_is_required_where_clients_are_verified_with_it() {
    let clients = [
        json!({ "alias": "client", "issuerRef": { "kind": "Issuer", "name": "clients" } }),
        json!({ "alias": "metrics-exporter", "issuerRef": { "kind": "Issuer", "name": "clients" } }),
    ];
    for (certificates, of_server) in [(json!([]), true), (json!(clients), false)] {
        for mode in [ClientAuthMode::Md5, ClientAuthMode::Scram, ClientAuthMode::Cert] {
            let pgpool = in_mode(mode, pgpool(&certificates));
            for alias in Alias::ALL {
                let verified = mode == ClientAuthMode::Cert && (of_server || alias != Alias::Server);
                let required = required(&pgpool, alias, "cluster.local");
                assert!(
                    required.iter().all(|each| each.ca_required == verified),
                    "{alias} {mode:?} {certificates}"
                );
            }
        }
    }
}

#[test]
fn the_other_name_cannot_be_that_of_a_role() {
    // PostgreSQL: `IsReservedName`, and names are cut at 63 bytes.
    assert!(NO_ROLE.starts_with("pg_") && NO_ROLE.len() <= 63);
    assert!(!NO_ROLE.eq_ignore_ascii_case(CLIENT_USER));
}

#[test]
fn the_issuer_of_the_server_counts_for_clients_only_if_it_is_theirs() {
    let own = |kind: &str, name: &str| json!({ "kind": kind, "name": name });
    let rows = [
        (json!([]), true),
        (
            json!([{ "alias": "client", "issuerRef": own("Issuer", "clients") }]),
            true,
        ),
        (
            json!([
                { "alias": "client", "issuerRef": own("Issuer", "clients") },
                { "alias": "metrics-exporter", "issuerRef": own("Issuer", "clients") },
            ]),
            false,
        ),
        (
            json!([{ "alias": "server", "issuerRef": own("ClusterIssuer", "ca") }]),
            false,
        ),
        (
            json!([{
                "alias": "server",
                "issuerRef": { "apiGroup": "cert-manager.io", "kind": "Issuer", "name": "ca" },
            }]),
            true,
        ),
    ];
    for (certificates, expected) in rows {
        let pgpool = pgpool(&certificates);
        assert_eq!(server_issuer_signs_clients(&pgpool), expected, "{certificates}");
    }
}

#[test]
fn only_an_issuer_of_the_namespace_is_taken_for_its_own() {
    let with = |alias: &str, issuer: Value| pgpool(&json!([{ "alias": alias, "issuerRef": issuer }]));
    let found = |pgpool: &Pgpool| shared_client_issuer(pgpool).map(|(alias, _)| alias);
    assert_eq!(found(&pgpool(&json!([]))), None);
    for issuer in [
        json!({ "kind": "ClusterIssuer", "name": "ca" }),
        json!({ "apiGroup": "example.org", "kind": "Issuer", "name": "ca" }),
        json!({ "apiGroup": "awspca.cert-manager.io", "kind": "AWSPCAClusterIssuer", "name": "ca" }),
    ] {
        assert_eq!(found(&with("server", issuer.clone())), None, "{issuer}");
        assert_eq!(
            found(&with("client", issuer.clone())),
            Some(Alias::Client),
            "{issuer}"
        );
        assert_eq!(
            found(&with("metrics-exporter", issuer.clone())),
            Some(Alias::MetricsExporter),
            "{issuer}"
        );
    }
}

#[test]
fn the_danger_is_accepted_in_its_own_words_only() {
    let mut pgpool = pgpool(&json!([]));
    assert!(!accepts_shared_client_issuer(&pgpool));
    for (value, expected) in [("true", false), ("", false), (ACCEPTED_DANGER, true)] {
        let annotations = pgpool.annotations_mut();
        annotations.insert(
            names::ANNOTATION_SHARED_CLIENT_ISSUER.to_owned(),
            value.to_owned(),
        );
        assert_eq!(accepts_shared_client_issuer(&pgpool), expected, "{value}");
    }
    assert!(how_to_fix().contains(ACCEPTED_DANGER));
}

#[test]
fn names_of_the_user_are_added_once_and_in_order() {
    let asked = json!([
        { "alias": "server", "dnsNames": ["zz.example", "localhost", "aa.example"], "ipAddresses": ["10.0.0.1", "nonsense"] },
    ]);
    let required = required(&pgpool(&asked), Alias::Server, "cluster.local");
    let [server] = required.as_slice() else {
        panic!("one role expected: {required:?}");
    };
    let names = &server.dns_names;
    assert!(names.is_sorted());
    assert_eq!(names.iter().filter(|name| *name == "localhost").count(), 1);
    for name in [
        "zz.example",
        "aa.example",
        "pool.demo.svc",
        "*.pool-pods.demo.svc",
        "pool-stats.demo.svc",
    ] {
        assert!(names.iter().any(|each| each == name), "{name}");
    }
    let addresses: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    assert_eq!(server.ip_addresses, addresses);
}

#[test]
fn what_is_asked_for_covers_what_is_required() {
    let pgpool = pgpool(&json!([]));
    for alias in Alias::ALL {
        for each in required(&pgpool, alias, "cluster.local") {
            let asked = dns_names(&pgpool, alias, "cluster.local");
            assert!(each.dns_names.iter().all(|name| asked.contains(name)), "{alias}");
            assert!(
                each.ip_addresses
                    .iter()
                    .all(|ip| addresses(&pgpool, alias).contains(ip)),
                "{alias}"
            );
        }
    }
}

fn named(names: &str, certificates: &Value) -> Pgpool {
    let mut pgpool = pgpool(certificates);
    pgpool.spec.tls.as_mut().unwrap().names = serde_json::from_value(json!(names)).unwrap();
    pgpool
}

fn requested(pgpool: &Pgpool, alias: Alias) -> (Vec<String>, Vec<String>) {
    let required = required(pgpool, alias, "cluster.example");
    let server = required
        .into_iter()
        .find(|each| each.role == Role::Server)
        .unwrap();
    let addresses = server.ip_addresses.iter().map(ToString::to_string);
    (server.dns_names, addresses.collect())
}

#[test]
fn fewer_names_are_requested_for_issuers_that_sign_fewer() {
    let none: Vec<String> = Vec::new();
    let full = |service: &str| vec![format!("{service}.demo.svc.cluster.example")];
    let service = named("service", &json!([]));
    assert_eq!(requested(&service, Alias::Server), (full("pool"), none.clone()));
    assert_eq!(
        requested(&service, Alias::MetricsExporter),
        (full("pool-stats"), none.clone())
    );
    let own = named(
        "own",
        &json!([{ "alias": "server", "dnsNames": ["db.example.org"], "ipAddresses": ["::ffff:10.0.0.7"] }]),
    );
    assert_eq!(
        requested(&own, Alias::Server),
        (vec!["db.example.org".to_owned()], vec!["10.0.0.7".to_owned()])
    );
    assert_eq!(requested(&own, Alias::MetricsExporter), (none.clone(), none));
    // What the user adds comes in every mode.
    let more = named(
        "service",
        &json!([{ "alias": "server", "dnsNames": ["pool.demo.svc"] }]),
    );
    assert_eq!(
        requested(&more, Alias::Server).0,
        ["pool.demo.svc", "pool.demo.svc.cluster.example"]
    );
}

#[test]
fn clients_verify_a_name_that_the_certificate_has() {
    let own = |names: Value, addresses: Value| json!([{ "alias": "server", "dnsNames": names, "ipAddresses": addresses }]);
    let rows = [
        ("full", json!([]), "pool.demo.svc", Some("pool.demo.svc")),
        (
            "full",
            own(json!(["a.example.org"]), json!([])),
            "pool.demo.svc",
            Some("pool.demo.svc"),
        ),
        (
            "service",
            own(json!(["a.example.org"]), json!([])),
            "pool.demo.svc.cluster.example",
            Some("pool.demo.svc.cluster.example"),
        ),
        (
            "own",
            own(json!(["a.example.org", "pool.demo.svc"]), json!([])),
            "pool.demo.svc",
            Some("pool.demo.svc"),
        ),
        (
            "own",
            own(json!(["*.example.org", "b.example.org"]), json!(["10.0.0.1"])),
            "b.example.org",
            Some("b.example.org"),
        ),
        (
            "own",
            own(json!(["*.example.org"]), json!([])),
            "pool.example.org",
            Some("*.example.org"),
        ),
        ("own", own(json!([]), json!(["10.0.0.1"])), "10.0.0.1", None),
        ("own", own(json!(["postgres"]), json!([])), "postgres", None),
    ];
    for (names, certificates, expected, common_name) in rows {
        let pgpool = named(names, &certificates);
        assert_eq!(
            host(&pgpool, "cluster.example"),
            expected,
            "{names} {certificates}"
        );
        let requested = requested(&pgpool, Alias::Server).0;
        let found = server_common_name(&pgpool, &requested, "cluster.example");
        assert_eq!(found.as_deref(), common_name, "{names} {certificates}");
        // An issuer such as ACME refuses a common name that is no other name.
        assert!(
            found.is_none_or(|found| requested.contains(&found)),
            "{names} {certificates}"
        );
    }
}

#[test]
fn a_common_name_is_a_name_that_is_short_enough() {
    let long = format!("{}.example.org", "a".repeat(60));
    let pgpool = named(
        "own",
        &json!([{ "alias": "server", "dnsNames": [long, "b.example.org"] }]),
    );
    let requested = requested(&pgpool, Alias::Server).0;
    let found = server_common_name(&pgpool, &requested, "cluster.example");
    assert_eq!(found.as_deref(), Some("b.example.org"));
}
