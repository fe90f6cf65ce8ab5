use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn pgpool(name: &str, spec: &Value) -> Pgpool {
    let mut whole = json!({ "version": "4.5.0", "postgresRef": { "name": "orders" } });
    whole
        .as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "kubedb.com/v1alpha2",
        "kind": "Pgpool",
        "metadata": {
            "name": name,
            "namespace": "pool",
            "uid": "0b51c6a2-4f5e-4a37-9a55-6f1f0c9d3e7a",
        },
        "spec": whole,
    }))
    .unwrap()
}

#[test]
fn suffixes_stay_and_bases_are_cut() {
    let long = "a".repeat(70);
    let dashed = format!("{}-{}", "a".repeat(57), "b".repeat(10));
    let cases = [
        ("pool", "auth", "pool-auth".to_owned()),
        ("pool", "", "pool".to_owned()),
        ("", "auth", "auth".to_owned()),
        (&long, "auth", format!("{}-auth", "a".repeat(58))),
        // KubeDB keeps a dash at the seam; the name of an object it left behind must be found again.
        (&dashed, "auth", format!("{}--auth", "a".repeat(57))),
        ("pool", &long, "a".repeat(63)),
    ];
    for (base, suffix, expected) in cases {
        assert_eq!(suffixed(base, suffix), expected, "{base} {suffix}");
    }
}

proptest! {
    #[test]
    fn suffixed_names_are_labels(base in "[a-z][-a-z0-9]{0,80}", suffix in "[a-z0-9][-a-z0-9]{0,40}[a-z0-9]") {
        let name = suffixed(&base, &suffix);
        prop_assert!(name.len() <= MAX_LENGTH);
        prop_assert!(name.ends_with(&suffix));
        prop_assert!(!name.starts_with('-') && !name.ends_with('-'));
    }
}

#[test]
fn generated_names() {
    let pool = pgpool("pool", &json!({}));
    let names = [
        (primary_service(&pool), "pool"),
        (governing_service(&pool), "pool-pods"),
        (stats_service(&pool), "pool-stats"),
        (auth_secret(&pool), "pool-auth"),
        (config_secret(&pool), "pool-9d3e7a"),
        (pcp_secret(&pool), "pool-pcp-9d3e7a"),
        (users_secret(&pool), "pool-users"),
        (tls_secret("pool", "0123abcd"), "pool-tls-0123abcd"),
        (certificate(&pool, Alias::Server), "pool-server-cert"),
        (
            certificate(&pool, Alias::MetricsExporter),
            "pool-metrics-exporter-cert",
        ),
        (certificate_secret(&pool, Alias::Client), "pool-client-cert"),
        (service_account(&pool), "pool"),
    ];
    for (name, expected) in names {
        assert_eq!(name, expected);
    }
}

#[test]
fn names_the_user_chose() {
    let pool = pgpool(
        "pool",
        &json!({
            "authSecret": { "name": "mine" },
            "tls": {
                "issuerRef": { "kind": "Issuer", "name": "ca" },
                "certificates": [{ "alias": "server", "secretName": "chosen" }, { "alias": "client", "secretName": "" }],
            },
            "podTemplate": { "spec": { "serviceAccountName": "account" } },
        }),
    );
    assert_eq!(auth_secret(&pool), "mine");
    assert_eq!(certificate(&pool, Alias::Server), "pool-server-cert");
    assert_eq!(certificate_secret(&pool, Alias::Server), "chosen");
    assert_eq!(certificate_secret(&pool, Alias::Client), "pool-client-cert");
    assert_eq!(service_account(&pool), "account");
}

#[test]
fn labels_pass_on_unless_they_identify_the_object() {
    let mut pool = pgpool("pool", &json!({}));
    let own = [
        ("team", "orders"),
        ("example.com/tier", "gold"),
        ("notkubedb.com/x", "kept"),
        ("kubedb.com/x", "dropped"),
        ("ops.kubedb.com/x", "dropped"),
        (LABEL_NAME, "dropped"),
        (LABEL_VERSION, "dropped"),
        (LABEL_INSTANCE, "dropped"),
        (LABEL_MANAGED_BY, "dropped"),
        (LABEL_COMPONENT, "dropped"),
    ];
    pool.metadata.labels = Some(own.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    let labels: Vec<_> = offshoot_labels(&pool).into_iter().collect();
    let expected = [
        (LABEL_COMPONENT, "connection-pooler"),
        (LABEL_INSTANCE, "pool"),
        (LABEL_MANAGED_BY, "kubedb.com"),
        (LABEL_NAME, "pgpools.kubedb.com"),
        ("example.com/tier", "gold"),
        ("notkubedb.com/x", "kept"),
        ("team", "orders"),
    ];
    assert_eq!(
        labels,
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
}

#[test]
fn the_watch_selector_finds_what_is_labeled() {
    let labels = selector_labels("pool");
    for term in SELECTOR.split(',') {
        let (key, value) = term.split_once('=').unwrap();
        assert_eq!(labels.get(key).map(String::as_str), Some(value));
    }
}

#[test]
fn a_pgpool_controls_what_it_owns() {
    let owner = owner_reference(&pgpool("pool", &json!({})));
    assert_eq!(
        (owner.api_version.as_str(), owner.kind.as_str()),
        ("kubedb.com/v1alpha2", "Pgpool")
    );
    assert_eq!(
        (owner.controller, owner.block_owner_deletion),
        (Some(true), Some(true))
    );
}

#[test]
fn server_names_cover_every_service_in_every_form() {
    let services = ["pool".to_owned(), "pool-stats".to_owned(), "pool-pods".to_owned()];
    let names = server_dns_names("pool", "ns", &services, "pool-pods", "cluster.local");
    let expected: BTreeSet<_> = [
        "localhost",
        "pool",
        "pool.ns",
        "pool.ns.svc",
        "pool.ns.svc.cluster.local",
        "pool-stats",
        "pool-stats.ns",
        "pool-stats.ns.svc",
        "pool-stats.ns.svc.cluster.local",
        "pool-pods",
        "pool-pods.ns",
        "pool-pods.ns.svc",
        "pool-pods.ns.svc.cluster.local",
        "*.pool-pods.ns",
        "*.pool-pods.ns.svc",
        "*.pool-pods.ns.svc.cluster.local",
    ]
    .into();
    assert_eq!(
        names.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        expected
    );
    assert_eq!(names.len(), expected.len());
}

#[test]
fn what_is_no_name_is_never_put_into_a_path() {
    for name in ["pool", "a.b-c.1", "0"] {
        assert!(is_possible(name), "{name}");
    }
    let long = "a".repeat(254);
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../../prod/secrets/live",
        "a?watch=true",
        "a%2fb",
        "-a",
        "a-",
        "a..b",
        "A",
        &long,
    ] {
        assert!(!is_possible(name), "{name}");
    }
    assert!(is_possible_namespace("prod") && !is_possible_namespace("a.b"));
}
