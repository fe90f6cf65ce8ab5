use serde_json::{Value, json};

use super::*;

fn spec(more: &Value) -> PgpoolSpec {
    let mut whole = json!({ "version": "4.5.0", "postgresRef": { "name": "orders" } });
    whole
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(whole).unwrap()
}

#[test]
fn defaults_are_answers_and_not_written_back() {
    let spec = spec(&json!({}));
    assert_eq!(spec.replicas(), 1);
    assert_eq!(spec.ssl_mode(), SslMode::Disable);
    assert_eq!(spec.client_auth_mode(), ClientAuthMode::Md5);
    assert_eq!(spec.deletion_policy(), DeletionPolicy::Delete);
    let ten = Duration::from_secs(10);
    assert_eq!(
        spec.health_checker(),
        HealthCheck {
            period: ten,
            timeout: ten,
            failure_threshold: 1,
            writes: true,
        }
    );
    assert_eq!(
        serde_json::to_value(&spec).unwrap(),
        json!({ "version": "4.5.0", "postgresRef": { "name": "orders" } })
    );
}

#[test]
fn certificates_make_the_strictest_mode_the_default() {
    let tls = json!({ "issuerRef": { "kind": "Issuer", "name": "ca" } });
    let cases = [
        (json!({ "tls": tls.clone() }), SslMode::VerifyFull),
        (
            json!({ "tls": tls.clone(), "sslMode": "prefer" }),
            SslMode::Prefer,
        ),
        (json!({ "tls": tls, "sslMode": "disable" }), SslMode::Disable),
        (json!({ "sslMode": "verify-ca" }), SslMode::VerifyCa),
    ];
    for (more, expected) in cases {
        assert_eq!(spec(&more).ssl_mode(), expected, "{more}");
    }
}

#[test]
fn modes_order_by_what_they_demand() {
    let cases = [
        ("disable", false, false),
        ("allow", true, false),
        ("prefer", true, false),
        ("require", true, true),
        ("verify-ca", true, true),
        ("verify-full", true, true),
    ];
    for (word, enabled, required) in cases {
        let mode: SslMode = serde_json::from_value(json!(word)).unwrap();
        assert_eq!(
            (mode.enabled(), mode.requires_tls(), mode.as_str()),
            (enabled, required, word)
        );
    }
}

#[test]
fn words_are_written_as_they_are_read() {
    for alias in Alias::ALL {
        assert_eq!(serde_json::to_value(alias).unwrap(), alias.as_str());
    }
    for mode in [ClientAuthMode::Md5, ClientAuthMode::Scram, ClientAuthMode::Cert] {
        assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
    }
    for phase in [
        Phase::Provisioning,
        Phase::DataRestoring,
        Phase::Ready,
        Phase::Critical,
        Phase::NotReady,
    ] {
        assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
    }
}

#[test]
fn each_certificate_has_its_own_issuer_or_that_of_all() {
    let spec = spec(&json!({ "tls": {
        "issuerRef": { "kind": "Issuer", "name": "all" },
        "certificates": [
            { "alias": "server", "issuerRef": { "kind": "ClusterIssuer", "name": "own" } },
            { "alias": "client" },
            { "alias": "left over from another time" },
        ],
    }}));
    let issuer = |alias| spec.issuer_ref(alias).unwrap().name.as_str();
    assert_eq!(issuer(Alias::Server), "own");
    assert_eq!(issuer(Alias::Client), "all");
    assert_eq!(issuer(Alias::MetricsExporter), "all");
    assert!(spec.certificate(Alias::MetricsExporter).is_none());
}

#[test]
fn health_check_numbers_below_one_count_as_one() {
    let check = spec(
        &json!({ "healthChecker": { "periodSeconds": 0, "timeoutSeconds": -3, "failureThreshold": 0 } }),
    )
    .health_checker();
    let second = Duration::from_secs(1);
    assert_eq!(
        check,
        HealthCheck {
            period: second,
            timeout: second,
            failure_threshold: 1,
            writes: true,
        }
    );
}

#[test]
fn scripts_come_from_any_volume() {
    let source: ScriptSource =
        serde_json::from_value(json!({ "scriptPath": "a", "configMap": { "name": "scripts" } })).unwrap();
    let volume = source.volume("init-scripts").unwrap().unwrap();
    assert_eq!(volume.name, "init-scripts");
    assert_eq!(volume.config_map.unwrap().name, "scripts");
    assert!(ScriptSource::default().volume("none").unwrap().is_none());
}

#[test]
fn what_scripts_cannot_be_mounted_without() {
    use crate::pgpool::ScriptReference::{ConfigMap, Secret};
    let cases = [
        (
            json!({ "configMap": { "name": "a" } }),
            vec![ConfigMap("a".to_owned())],
        ),
        (
            json!({ "secret": { "secretName": "a" } }),
            vec![Secret("a".to_owned())],
        ),
        (
            json!({ "secret": { "secretName": "a", "optional": true } }),
            vec![],
        ),
        (
            json!({ "projected": { "sources": [
                { "configMap": { "name": "a" } },
                { "secret": { "name": "b" } },
                { "configMap": { "name": "c", "optional": true } },
                { "downwardAPI": {} },
            ] } }),
            vec![Secret("b".to_owned()), ConfigMap("a".to_owned())],
        ),
        (
            json!({ "git": { "args": [], "authSecret": { "name": "key" } } }),
            vec![Secret("key".to_owned())],
        ),
        (json!({ "emptyDir": {} }), vec![]),
        (json!({ "configMap": "no volume" }), vec![]),
    ];
    for (script, expected) in cases {
        let source: ScriptSource = serde_json::from_value(script.clone()).unwrap();
        assert_eq!(source.references(), expected, "{script}");
    }
}

#[test]
fn scripts_are_wanted_unless_the_user_says_that_they_have_run() {
    for (init, wanted) in [
        (json!({}), false),
        (json!({ "script": { "emptyDir": {} } }), true),
        (
            json!({ "script": { "emptyDir": {} }, "initialized": false }),
            true,
        ),
        (
            json!({ "script": { "emptyDir": {} }, "initialized": true }),
            false,
        ),
    ] {
        let spec = spec(&json!({ "init": init.clone() }));
        assert_eq!(spec.init.unwrap().wanted().is_some(), wanted, "{init}");
    }
}

#[test]
fn exporter_port() {
    let port = |monitor: Value| serde_json::from_value::<Monitor>(monitor).unwrap().port();
    assert_eq!(port(json!({})), 9719);
    assert_eq!(port(json!({ "prometheus": { "exporter": { "port": 0 } } })), 9719);
    assert_eq!(
        port(json!({ "prometheus": { "exporter": { "port": 56790 } } })),
        56790
    );
}
