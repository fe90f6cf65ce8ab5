//! Every gate: what closes it, under which reason, and that its sentence names the object and the cure.

mod contested;

use std::sync::Arc;

use operator_runtime::{Availability, Lookup};
use shared_types::conditions::Reason;
use shared_types::{Alias, Pgpool, SslMode};
use tls_bundle::Role;

use super::{Refusal, Wanted, validate};
use crate::certificates::observe::{IssuerState, Observed, Presence};
use crate::fixtures::{self, DOMAIN, asked, pgpool, pgpool_with, prepared, validated};

fn wanted(pgpool: &Pgpool, observed: &Observed) -> [Wanted; 3] {
    validated(pgpool, observed).wanted.try_into().unwrap()
}

fn refusal(pgpool: &Pgpool, observed: &Observed, alias: Alias) -> Option<Refusal> {
    let wanted = wanted(pgpool, observed)
        .into_iter()
        .find(|wanted| wanted.alias == alias);
    wanted.unwrap().order.err()
}

/// The one issuer of the plain Pgpool.
fn issuer(observed: &mut Observed) -> &mut IssuerState {
    observed.issuers.values_mut().next().unwrap()
}

#[test]
fn without_tls_nothing_is_needed() {
    let mut plain = pgpool();
    let observed = prepared(&plain);
    plain.spec.ssl_mode = Some(SslMode::Disable);
    assert_eq!(validate(&plain, &observed, DOMAIN), None);
    plain.spec.ssl_mode = None;
    plain.spec.tls = None;
    assert_eq!(validate(&plain, &observed, DOMAIN), None);
}

#[test]
fn with_everything_there_all_three_are_ordered() {
    let pgpool = pgpool();
    for wanted in wanted(&pgpool, &prepared(&pgpool)) {
        assert!(wanted.order.is_ok(), "{:?}", wanted.order);
        assert_eq!(wanted.contested, None);
        assert_eq!(wanted.secret, wanted.certificate);
    }
}

/// What is wrong, how it comes about, the reason, and words that must stand in the sentence: the object, then the cure.
type Case = (&'static str, fn(&mut Observed), Reason, [&'static str; 2]);

const CASES: &[Case] = &[
    (
        "cert-manager is not installed",
        |observed| observed.cert_manager = Availability::Absent,
        Reason::CertManagerAbsent,
        ["cert-manager is not installed", "install cert-manager"],
    ),
    (
        "Certificates may not be seen",
        |observed| observed.cert_manager = Availability::Forbidden,
        Reason::CertManagerAbsent,
        ["may not list Certificates", "grant it get, list, watch"],
    ),
    (
        "the cache of Certificates is being filled",
        |observed| observed.cert_manager = Availability::Starting,
        Reason::Issuing,
        ["Reading cert-manager's", "Certificate objects"],
    ),
    (
        "the kind of the issuer is gone",
        |observed| *issuer(observed) = IssuerState::KindAbsent,
        Reason::CertManagerAbsent,
        ["does not serve Issuer", "install cert-manager"],
    ),
    (
        "the issuer does not exist",
        |observed| *issuer(observed) = IssuerState::Absent,
        Reason::IssuerNotFound,
        ["Issuer demo/ca does not exist", "create it"],
    ),
    (
        "the issuer is not ready",
        |observed| *issuer(observed) = fixtures::issuer_state(false),
        Reason::IssuerNotReady,
        [
            "Issuer demo/ca is not ready: no such Secret",
            "kubectl describe issuer demo/ca",
        ],
    ),
    (
        "a Service is missing",
        |observed| observed.prerequisites[5].presence = Presence::Absent,
        Reason::WaitingForProvisioner,
        [
            "waiting for the provisioner to create Service demo/pool-pods;",
            "check that the provisioner runs",
        ],
    ),
    (
        "several things are missing",
        |observed| {
            for needed in &mut observed.prerequisites[..3] {
                needed.presence = Presence::Absent;
            }
        },
        Reason::WaitingForProvisioner,
        [
            "to create Secret demo/pool-auth, Secret demo/pool-ffee01 and Secret demo/pool-pcp-ffee01;",
            "provisioner",
        ],
    ),
    (
        "cert-manager comes first: without it the issuer cannot be there either",
        |observed| {
            observed.cert_manager = Availability::Absent;
            *issuer(observed) = IssuerState::KindAbsent;
            observed.prerequisites[0].presence = Presence::Absent;
        },
        Reason::CertManagerAbsent,
        ["does not serve Certificate", "install cert-manager"],
    ),
    (
        "the issuer comes before the provisioner",
        |observed| {
            *issuer(observed) = IssuerState::Absent;
            observed.prerequisites[0].presence = Presence::Absent;
        },
        Reason::IssuerNotFound,
        ["Issuer demo/ca", "create it"],
    ),
];

#[test]
fn each_gate_closes_with_its_reason() {
    let pgpool = pgpool();
    for (name, change, reason, words) in CASES {
        let mut observed = prepared(&pgpool);
        change(&mut observed);
        for wanted in wanted(&pgpool, &observed) {
            let refusal = wanted.order.expect_err(name);
            let sentence = refusal.to_string();
            assert_eq!(refusal.reason(), *reason, "{name}: {sentence}");
            for word in words {
                assert!(sentence.contains(word), "{name}: {sentence}");
            }
            assert_eq!(wanted.contested, None, "{name}");
        }
    }
}

#[test]
fn issuers_that_we_cannot_check_are_passed_through() {
    let pgpool = pgpool();
    let mut observed = prepared(&pgpool);
    *issuer(&mut observed) = IssuerState::Unchecked;
    assert_eq!(refusal(&pgpool, &observed, Alias::Server), None);

    let external =
        pgpool_with("issuerRef: {apiGroup: awspca.cert-manager.io, kind: AWSPCAIssuer, name: pca}");
    let mut observed = prepared(&external);
    observed
        .issuers
        .values_mut()
        .for_each(|state| *state = IssuerState::Unchecked);
    observed.issuers = observed
        .issuers
        .into_iter()
        .map(|(mut issuer, state)| {
            issuer.group = "awspca.cert-manager.io".into();
            (issuer, state)
        })
        .collect();
    let [server, ..] = wanted(&external, &observed);
    assert_eq!(server.order.unwrap().issuer.group, "awspca.cert-manager.io");
}

#[test]
fn kinds_that_cert_manager_does_not_know_are_refused() {
    for kind in ["issuer", "Secret", "PgpoolIssuer"] {
        let pgpool = pgpool_with(&format!("issuerRef: {{kind: {kind}, name: ca}}"));
        let refusal = refusal(&pgpool, &prepared(&pgpool), Alias::Server).unwrap();
        assert_eq!(refusal.reason(), Reason::IssuerKindUnsupported);
        assert!(
            refusal
                .to_string()
                .starts_with(&format!("{kind} ca cannot issue")),
            "{refusal}"
        );
    }
}

#[test]
fn a_missing_issuer_of_one_alias_holds_back_that_alias_only() {
    let pgpool = pgpool_with(
        "certificates: [{alias: metrics-exporter, issuerRef: {kind: ClusterIssuer, name: other}}]",
    );
    let mut observed = prepared(&pgpool);
    for (issuer, state) in &mut observed.issuers {
        if issuer.name == "other" {
            *state = IssuerState::Absent;
        }
    }
    assert_eq!(refusal(&pgpool, &observed, Alias::Server), None);
    assert_eq!(refusal(&pgpool, &observed, Alias::Client), None);
    let refusal = refusal(&pgpool, &observed, Alias::MetricsExporter).unwrap();
    assert!(
        refusal
            .to_string()
            .starts_with("ClusterIssuer other does not exist"),
        "{refusal}"
    );
}

#[test]
fn fields_that_cert_manager_could_not_read_never_reach_it() {
    for (field, value, shown) in [
        ("duration", "90d", "2160h"),
        ("duration", "-1h", "2160h"),
        ("renewBefore", "soon", "2160h"),
        ("renewBefore", "0s", "2160h"),
        ("ipAddresses", "[localhost]", "10.0.0.7"),
        // What cert-manager's webhook refuses, or what makes every request fail.
        ("duration", "59m", "the 1h that cert-manager demands"),
        ("duration", "9999999h", "not a duration"),
        ("renewBefore", "4m", "the 5m that cert-manager demands"),
        ("renewBefore", "2160h", "not shorter than duration"),
        ("renewBefore", "2h, duration: 2h", "not shorter than duration"),
        ("dnsNames", "['a b']", "db.example.org"),
        ("dnsNames", "[m\u{fc}nchen.de]", "db.example.org"),
        ("dnsNames", "[a.example.org.]", "db.example.org"),
        ("uris", "['/pool']", "spiffe://example.org/pool"),
        ("uris", "['spiffe://a/b c']", "spiffe://example.org/pool"),
        ("emailAddresses", "['DBA <dba@example.org>']", "dba@example.org"),
    ] {
        let pgpool = pgpool_with(&format!("certificates: [{{alias: server, {field}: {value}}}]"));
        let refused = refusal(&pgpool, &prepared(&pgpool), Alias::Server).expect(value);
        assert_eq!(refused.reason(), Reason::NotSupported);
        let sentence = refused.to_string();
        assert!(
            sentence.contains(&format!("spec.tls.certificates[server].{field} is")),
            "{sentence}"
        );
        assert!(sentence.contains(shown), "{sentence}");
        assert_eq!(refusal(&pgpool, &prepared(&pgpool), Alias::Client), None);
    }
}

#[test]
fn a_key_that_cert_manager_refuses_is_never_requested() {
    for (key, shown) in [
        ("size: 1024", "2048 to 8192"),
        ("size: 16384", "2048 to 8192"),
        ("algorithm: ECDSA, size: 2048", "256, 384 or 521"),
        ("algorithm: Ed25519, size: 256", "no size"),
    ] {
        let pgpool = pgpool_with(&format!(
            "certificates: [{{alias: server, privateKey: {{{key}}}}}]"
        ));
        let refused = refusal(&pgpool, &prepared(&pgpool), Alias::Server).expect(key);
        let sentence = refused.to_string();
        assert_eq!(refused.reason(), Reason::NotSupported);
        assert!(
            sentence.contains("spec.tls.certificates[server].privateKey.size is") && sentence.contains(shown),
            "{sentence}"
        );
    }
}

#[test]
fn a_kept_key_is_not_replaced_by_one_of_another_kind() {
    let with = |key: &str| {
        pgpool_with(&format!(
            "certificates: [{{alias: server, privateKey: {{{key}}}}}]"
        ))
    };
    let mut observed = fixtures::issued(&pgpool());
    for (key, refused) in [
        ("rotationPolicy: Never", false),
        ("rotationPolicy: Never, size: 2048", false),
        ("rotationPolicy: Never, size: 4096", true),
        ("rotationPolicy: Never, algorithm: ECDSA", true),
        ("rotationPolicy: Always, algorithm: ECDSA", false),
        ("algorithm: Ed25519", false),
    ] {
        let found = refusal(&with(key), &observed, Alias::Server);
        assert_eq!(found.is_some(), refused, "{key}: {found:?}");
        if let Some(found) = found {
            let sentence = found.to_string();
            assert_eq!(found.reason(), Reason::NotSupported);
            assert!(
                sentence.starts_with("Secret demo/pool-server-cert has a private key"),
                "{sentence}"
            );
            assert!(sentence.contains("set it to Always"), "{sentence}");
        }
    }
    // Without a key there is none to keep.
    observed.children.get_mut(&Alias::Server).unwrap().secret = Lookup::Absent;
    let never = with("rotationPolicy: Never, algorithm: ECDSA");
    assert_eq!(refusal(&never, &observed, Alias::Server), None);
}

#[test]
fn own_names_must_be_given() {
    let own = |certificate: &str| pgpool_with(&format!("{{names: own, certificates: [{certificate}]}}"));
    for nameless in [
        "",
        "{alias: server}",
        "{alias: client, dnsNames: [a.example.org]}",
    ] {
        let pgpool = own(nameless);
        let refused = refusal(&pgpool, &prepared(&pgpool), Alias::Server).expect(nameless);
        assert_eq!(refused, Refusal::NameNeeded);
        assert_eq!(refusal(&pgpool, &prepared(&pgpool), Alias::MetricsExporter), None);
    }
    for named in [
        "{alias: server, dnsNames: [a.example.org]}",
        "{alias: server, ipAddresses: ['10.0.0.1']}",
    ] {
        let pgpool = own(named);
        assert_eq!(
            refusal(&pgpool, &prepared(&pgpool), Alias::Server),
            None,
            "{named}"
        );
    }
}

#[test]
fn the_users_own_auth_secret_is_the_users_to_create() {
    let mut pgpool = pgpool();
    pgpool.spec.auth_secret = serde_yaml::from_str("name: my-pcp").unwrap();
    for presence in [Presence::Absent, Presence::Forbidden] {
        let mut observed = prepared(&pgpool);
        observed.prerequisites[0].presence = presence;
        let refusal = refusal(&pgpool, &observed, Alias::Server).unwrap();
        assert_eq!(refusal.reason(), Reason::WaitingForProvisioner);
        assert!(
            refusal
                .to_string()
                .starts_with("Secret demo/my-pcp, named in spec.authSecret"),
            "{refusal}"
        );
    }
}

#[test]
fn what_is_required_covers_each_use() {
    let pgpool =
        pgpool_with("certificates: [{alias: server, dnsNames: [db.example.org], ipAddresses: [10.0.0.7]}]");
    let [server, client, exporter] = wanted(&pgpool, &prepared(&pgpool));
    let roles = |wanted: &Wanted| {
        wanted
            .required
            .iter()
            .map(|required| required.role)
            .collect::<Vec<_>>()
    };
    assert_eq!(roles(&server), [Role::Server]);
    assert_eq!(roles(&client), [Role::Client]);
    assert_eq!(roles(&exporter), [Role::Client, Role::Server]);
    let required = &server.required[0];
    for name in [
        "pool",
        "pool.demo.svc.cluster.local",
        "*.pool-pods.demo.svc",
        "localhost",
        "db.example.org",
    ] {
        assert!(
            required.dns_names.iter().any(|required| required == name),
            "{name}"
        );
    }
    assert_eq!(
        required
            .ip_addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["10.0.0.7", "127.0.0.1"]
    );
    assert_eq!(client.required[0].common_name, None);
    let pgpool = fixtures::by_certificate(pgpool);
    let [server, client, exporter] = wanted(&pgpool, &prepared(&pgpool));
    assert_eq!(server.required[0].common_name, None);
    for shown in [client, exporter] {
        assert_eq!(shown.required[0].common_name.as_deref(), Some("postgres"));
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_no_reason_to_refuse() {
    let pgpool = pgpool();
    let mut observed = asked(&pgpool);
    for child in observed.children.values_mut() {
        child.secret = Lookup::Forbidden;
        child.certificate = child
            .certificate
            .take()
            .map(|certificate| Arc::new((*certificate).clone()));
    }
    assert!(
        wanted(&pgpool, &observed)
            .iter()
            .all(|wanted| wanted.order.is_ok())
    );
}
