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

#[test]
fn whoever_logs_in_bears_the_name_of_the_role() {
    for alias in Alias::ALL {
        let required = required(&pgpool(&json!([])), alias, "cluster.local");
        for each in required {
            let expected = (each.role == Role::Client).then_some(CLIENT_USER);
            assert_eq!(each.common_name.as_deref(), expected, "{alias}");
        }
    }
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
    let addresses: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap(), Ipv4Addr::LOCALHOST.into()];
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
                each.ip_addresses.iter().all(|ip| addresses(alias).contains(ip)),
                "{alias}"
            );
        }
    }
}
