//! What each operation makes of a spec.

use serde_json::{Value, json};
use shared_types::{Pgpool, PgpoolSpec};

use super::operation;
use crate::fixtures::now;
use crate::fixtures::ops::request;
use crate::ops_requests::apply::merge_patch::difference;
use shared_types::ops_request::OpsType;

/// A spec with some fields, changed by a request; what differs then, and the same once more.
fn changed(type_: OpsType, asked: &str, spec: &str) -> Value {
    let mut before: Value = serde_yaml::from_str(spec).unwrap();
    before["version"] = json!("4.5.0");
    before["postgresRef"] = json!({"name": "pg"});
    let before: PgpoolSpec = serde_json::from_value(before).unwrap();
    let request = request("one", type_, asked);
    let mut after = before.clone();
    operation(&request).change(&request, now(), &mut after);
    let mut twice = after.clone();
    operation(&request).change(&request, now(), &mut twice);
    assert_eq!(twice, after, "done twice it differs");
    let [before, after] = [before, after].map(|spec| serde_json::to_value(spec).unwrap());
    difference(&before, &after).unwrap_or(Value::Null)
}

#[test]
fn a_restart_is_a_mark_of_its_own_for_each_request() {
    let mark = json!({"podTemplate": {"metadata": {"annotations": {
        "pgpool.kubedb.com/restarted-at": "2026-06-01T12:00:00Z/one",
    }}}});
    assert_eq!(changed(OpsType::Restart, "{}", "{}"), mark);
    let earlier =
        "podTemplate: {metadata: {annotations: {pgpool.kubedb.com/restarted-at: before, mine: kept}}}";
    assert_eq!(changed(OpsType::Restart, "{}", earlier), mark);
}

#[test]
fn the_number_of_pods() {
    let scaled = |spec| changed(OpsType::HorizontalScaling, "horizontalScaling: {node: 3}", spec);
    assert_eq!(scaled("{}"), json!({"replicas": 3}));
    assert_eq!(scaled("replicas: 5"), json!({"replicas": 3}));
    assert_eq!(scaled("replicas: 3"), Value::Null);
}

#[test]
fn resources_and_nodes() {
    let asked = |mode: &str| {
        format!(
            "verticalScaling:
               {mode}
               node:
                 resources: {{requests: {{cpu: '1', memory: 2Gi}}, limits: {{memory: 2Gi}}}}
                 nodeSelectionPolicy: LabelSelector
                 topology: {{key: disk, value: ssd}}"
        )
    };
    let scaled = |mode: &str, spec: &str| changed(OpsType::VerticalScaling, &asked(mode), spec);
    let resources = json!({"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}});
    let pgpool = json!({"name": "pgpool", "resources": resources});
    let spec = json!({"containers": [pgpool], "nodeSelector": {"disk": "ssd"}});
    let mark = json!({"annotations": {"pgpool.kubedb.com/restarted-at": "2026-06-01T12:00:00Z/one"}});
    assert_eq!(
        scaled("mode: InPlace", "{}"),
        json!({"podTemplate": {"spec": spec}})
    );
    for mode in ["", "mode: Restart"] {
        let got = scaled(mode, "{}");
        assert_eq!(
            got,
            json!({"podTemplate": {"metadata": mark, "spec": spec}}),
            "{mode}"
        );
    }
    let other = "podTemplate: {spec: {containers: [{name: side, image: x}, {name: pgpool, resources: {limits: {cpu: '4'}}}]}}";
    assert_eq!(
        scaled("", other)["podTemplate"]["spec"]["containers"],
        json!([{"name": "side", "image": "x"}, pgpool]),
        "in place of what was there"
    );
    let same = format!("podTemplate: {{spec: {spec}}}");
    assert_eq!(scaled("", &same), Value::Null, "nothing restarts for nothing");
    let taint = "verticalScaling: {node: {nodeSelectionPolicy: Taint, topology: {key: disk, value: ssd}}}";
    assert_eq!(
        changed(OpsType::VerticalScaling, taint, "{}")["podTemplate"]["spec"]["tolerations"],
        json!([{"key": "disk", "operator": "Equal", "value": "ssd", "effect": "NoSchedule"}])
    );
}

#[test]
fn another_version() {
    let got = changed(
        OpsType::UpdateVersion,
        "updateVersion: {targetVersion: 4.6.0}",
        "{}",
    );
    assert_eq!(got, json!({"version": "4.6.0"}));
}

#[test]
fn settings_are_laid_over_those_before() {
    let asked =
        "configuration: {applyConfig: {pgpool.conf: \"# more\\nmax_pool = 75\\nCHILD_LIFE_TIME = 9\"}}";
    let inline = |text: &str| json!({"configuration": {"inline": {"pgpool.conf": text}}});
    let cases = [
        ("{}", inline("max_pool = 75\nCHILD_LIFE_TIME = 9\n")),
        (
            "configuration: {inline: {pgpool.conf: \"# mine\\nmax_pool=4\\nnum_init_children 5\\nchild_life_time=1\"}}",
            inline("# mine\nnum_init_children 5\nmax_pool = 75\nCHILD_LIFE_TIME = 9\n"),
        ),
        // A Secret stays: what is laid over it wins.
        (
            "configuration: {secretName: mine}",
            inline("max_pool = 75\nCHILD_LIFE_TIME = 9\n"),
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(changed(OpsType::Reconfigure, asked, spec), expected, "{spec}");
    }
}

#[test]
fn settings_are_replaced_or_removed() {
    let spec = "configuration: {secretName: old, inline: {pgpool.conf: max_pool = 4}, backends: [{hostName: a, weight: 1}]}";
    let got = |asked: &str| changed(OpsType::Reconfigure, asked, spec);
    assert_eq!(
        got("configuration: {configSecret: {name: new}}"),
        json!({"configuration": {"secretName": "new"}})
    );
    assert_eq!(
        got("configuration: {removeCustomConfig: true}"),
        json!({"configuration": null})
    );
    assert_eq!(
        got("configuration: {removeCustomConfig: true, configSecret: {name: new}}"),
        json!({"configuration": {"secretName": "new", "inline": null, "backends": null}})
    );
    let restart = got("configuration: {configSecret: {name: new}, restart: 'true'}");
    assert!(
        restart["podTemplate"]["metadata"]["annotations"].is_object(),
        "{restart}"
    );
}

#[test]
fn backends_go_by_their_names() {
    let spec = "configuration: {backends: [{hostName: a, weight: 1}, {hostName: b, port: 5433, weight: 1}]}";
    let got = |asked: &str| changed(OpsType::Reconfigure, asked, spec)["configuration"]["backends"].clone();
    assert_eq!(
        got("configuration: {backend: {sync: [{hostName: b, weight: 3}, {hostName: c, weight: 1}]}}"),
        json!([{"hostName": "a", "weight": 1}, {"hostName": "b", "weight": 3}, {"hostName": "c", "weight": 1}])
    );
    assert_eq!(
        got("configuration: {backend: {delete: [{hostName: b, weight: 0}]}}"),
        json!([{"hostName": "a", "weight": 1}]),
        "whatever the port"
    );
}

#[test]
fn certificates_are_added_changed_and_removed() {
    let got = |asked: &str, spec: &str| changed(OpsType::ReconfigureTls, asked, spec);
    let add = "
        tls:
          sslMode: require
          clientAuthMode: cert
          issuerRef: {apiGroup: cert-manager.io, kind: Issuer, name: ca}
          certificates: [{alias: client, subject: {organizations: [pgpool]}}]";
    let tls = json!({
        "issuerRef": {"apiGroup": "cert-manager.io", "kind": "Issuer", "name": "ca"},
        "certificates": [{"alias": "client", "subject": {"organizations": ["pgpool"]}}],
    });
    assert_eq!(
        got(add, "{}"),
        json!({"tls": tls, "sslMode": "require", "clientAuthMode": "cert"})
    );
    let issuer = "tls: {issuerRef: {kind: Issuer, name: new}}";
    let with = "sslMode: require\ntls: {issuerRef: {kind: Issuer, name: ca}, certificates: [{alias: server, duration: 2h}]}";
    assert_eq!(got(issuer, with), json!({"tls": {"issuerRef": {"name": "new"}}}));
    // Whoever adds certificates wants them used.
    assert_eq!(got(issuer, "sslMode: disable")["sslMode"], Value::Null);
    assert!(
        got(issuer, "sslMode: disable")
            .as_object()
            .unwrap()
            .contains_key("sslMode")
    );
    let wish = "tls: {certificates: [{alias: server, duration: 4h}, {alias: client, duration: 3h}]}";
    assert_eq!(
        got(wish, with),
        json!({"tls": {"certificates": [{"alias": "server", "duration": "4h"}, {"alias": "client", "duration": "3h"}]}})
    );
    assert_eq!(
        got("tls: {names: service}", with),
        json!({"tls": {"names": "service"}})
    );
    let remove = "tls: {remove: true}";
    let strict = "sslMode: require\nclientAuthMode: cert\ntls: {issuerRef: {kind: Issuer, name: ca}}";
    assert_eq!(
        got(remove, strict),
        json!({"tls": null, "sslMode": "disable", "clientAuthMode": "md5"})
    );
    assert_eq!(
        got("tls: {remove: true, clientAuthMode: scram}", strict),
        json!({"tls": null, "sslMode": "disable", "clientAuthMode": "scram"})
    );
    assert_eq!(
        got(remove, "tls: {issuerRef: {kind: Issuer, name: ca}}"),
        json!({"tls": null})
    );
    assert_eq!(got("tls: {rotateCertificates: true}", strict), Value::Null);
}

#[test]
fn credentials_of_the_user() {
    let asked = "authentication: {secretRef: {kind: Secret, name: mine}}";
    assert_eq!(
        changed(OpsType::RotateAuth, asked, "{}"),
        json!({"authSecret": {"name": "mine"}})
    );
    assert_eq!(changed(OpsType::RotateAuth, "{}", "{}"), Value::Null);
}

/// What a request asks for is taken by the rules of the Pgpool as any edit is.
#[test]
fn nothing_else_is_touched() {
    let pgpool: Pgpool = crate::fixtures::pgpool();
    for type_ in [
        OpsType::UpdateVersion,
        OpsType::HorizontalScaling,
        OpsType::Reconfigure,
        OpsType::ReconfigureTls,
    ] {
        let mut spec = pgpool.spec.clone();
        let request = request("one", type_, "{}");
        operation(&request).change(&request, now(), &mut spec);
        assert_eq!(spec, pgpool.spec, "{type_:?} without anything to do");
    }
}
