//! Rows of a request.

use serde_json::{Value, json};

use super::row::Row;
use crate::scene::fixtures::Manifest;

/// The name of the request.
pub(super) const NAME: &str = "request";
/// What a changed spec hears.
pub(super) const FROZEN: &str =
    "spec of a PgpoolOpsRequest is carried out once and cannot change: create another request";

/// The smallest request.
pub(super) fn restart() -> Manifest {
    Manifest(json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PgpoolOpsRequest",
        "metadata": {"name": NAME},
        "spec": {"type": "Restart", "databaseRef": {"name": "pool"}},
    }))
}

pub(super) fn rows() -> Vec<Row> {
    [
        common(),
        parts(),
        scaling(),
        reconfigure(),
        backends(),
        tls(),
        authentication(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn at(path: &'static str) -> Row {
    Row::of(|| Ok(restart()), path)
}

fn of(kind: &str, path: &'static str) -> Row {
    at(path).given("/spec/type", json!(kind))
}

fn common() -> Vec<Row> {
    vec![
        at("/spec/type")
            .takes(json!("Restart"))
            .takes(json!("RotateAuth"))
            .refuses(
                json!("Upgrade"),
                "spec.type is one of UpdateVersion, Restart, Reconfigure, VerticalScaling, HorizontalScaling, ReconfigureTLS, \
                 RotateAuth; did you mean UpdateVersion?",
            )
            .refuses(json!("reconfigureTls"), "; did you mean ReconfigureTLS?")
            .refuses(Value::Null, "spec.type: Required value"),
        at("/spec/apply")
            .takes(json!("Always"))
            .refuses(json!("always"), "spec.apply is one of IfReady, Always; did you mean Always?"),
        at("/spec/maxRetries")
            .takes(json!(0))
            .refuses(json!(-1), "spec.maxRetries in body should be greater than or equal to 0"),
        at("/spec/timeout")
            .takes(json!("5m"))
            .refuses(json!("5 min"), "spec.timeout in body should match"),
        at("/spec/databaseRef/name")
            .takes(json!("pool"))
            .refuses(json!(""), "spec.databaseRef.name is not the name of an object"),
        at("/spec/databaseRef")
            .takes(json!({"name": "pool"}))
            .refuses(json!({}), "spec.databaseRef names no Pgpool: set spec.databaseRef.name")
            .refuses(Value::Null, "spec.databaseRef: Required value"),
    ]
}

fn parts() -> Vec<Row> {
    let version = json!({"targetVersion": "4.6.0"});
    vec![
        of("UpdateVersion", "/spec/updateVersion")
            .takes(version.clone())
            .refuses(
                Value::Null,
                "spec.updateVersion goes with spec.type UpdateVersion: set both or neither",
            )
            .refuses(
                json!({}),
                "spec.updateVersion names no version: set spec.updateVersion.targetVersion",
            ),
        at("/spec/updateVersion").takes(Value::Null).refuses(
            version,
            "spec.updateVersion goes with spec.type UpdateVersion: set both or neither",
        ),
        of("HorizontalScaling", "/spec/horizontalScaling")
            .takes(json!({"node": 9}))
            .refuses(
                Value::Null,
                "spec.horizontalScaling goes with spec.type HorizontalScaling: set both",
            ),
        of("VerticalScaling", "/spec/verticalScaling")
            .takes(json!({"node": {"resources": {"limits": {"cpu": 1}}}}))
            .refuses(
                Value::Null,
                "spec.verticalScaling goes with spec.type VerticalScaling: set both",
            ),
        of("Reconfigure", "/spec/configuration")
            .takes(json!({"removeCustomConfig": true}))
            .refuses(
                Value::Null,
                "spec.configuration goes with spec.type Reconfigure: set both",
            ),
        of("ReconfigureTLS", "/spec/tls")
            .takes(json!({"remove": true}))
            .refuses(
                Value::Null,
                "spec.tls goes with spec.type ReconfigureTLS: set both",
            ),
        at("/spec/authentication").takes(Value::Null).refuses(
            json!({}),
            "spec.authentication goes with spec.type RotateAuth: remove it",
        ),
        of("RotateAuth", "/spec/restart")
            .takes(Value::Null)
            .refuses(json!({}), "spec.restart goes with spec.type Restart: remove it"),
    ]
}

fn scaling() -> Vec<Row> {
    vec![
        of("HorizontalScaling", "/spec/horizontalScaling")
            .takes(json!({"node": 1}))
            .refuses(json!({"node": 0}), "spec.horizontalScaling.node in body should be greater than or equal to 1")
            .refuses(json!({"node": 10}), "spec.horizontalScaling.node in body should be less than or equal to 9")
            .refuses(json!({}), "spec.horizontalScaling names no number of pods: set spec.horizontalScaling.node"),
        of("VerticalScaling", "/spec/verticalScaling")
            .takes(json!({"node": {"topology": {"key": "size", "value": "large"}, "nodeSelectionPolicy": "Taint"}}))
            .takes(json!({"node": {"resources": {"limits": {"cpu": "2"}}}, "mode": "InPlace"}))
            .refuses(json!({"mode": "Restart"}), "spec.verticalScaling changes nothing: set spec.verticalScaling.node.resources")
            .refuses(json!({"node": {}}), "spec.verticalScaling changes nothing: set spec.verticalScaling.node.resources")
            .refuses(
                json!({"node": {"resources": {}}, "mode": "inplace"}),
                "spec.verticalScaling.mode is one of Restart, InPlace; did you mean InPlace?",
            )
            .refuses(
                json!({"node": {"resources": {"limits": {"cpu": "many"}}}}),
                "spec.verticalScaling.node.resources has an amount that is none: write amounts",
            )
            .refuses(
                json!({"node": {"topology": {"key": "size"}, "nodeSelectionPolicy": "Label"}}),
                "spec.verticalScaling.node.nodeSelectionPolicy is one of LabelSelector, Taint, None; did you mean LabelSelector?",
            )
            .refuses(
                json!({"node": {"resources": {}, "nodeSelectionPolicy": "Taint"}}),
                "spec.verticalScaling.node.nodeSelectionPolicy needs nodes to choose from: set",
            ),
    ]
}

fn reconfigure() -> Vec<Row> {
    vec![
        of("Reconfigure", "/spec/configuration")
            .takes(json!({"applyConfig": {"pgpool.conf": "max_pool = 4"}, "restart": "auto"}))
            .takes(json!({"configSecret": {"name": "settings"}, "removeCustomConfig": true}))
            .refuses(
                json!({}),
                "spec.configuration changes nothing: set removeCustomConfig, configSecret",
            )
            .refuses(
                json!({"restart": "true", "applyConfig": {}}),
                "spec.configuration changes nothing: set removeCustomConfig",
            )
            .refuses(
                json!({"applyConfig": {"pool_hba.conf": ""}}),
                "spec.configuration.applyConfig knows one file: put the settings under the key pgpool.conf",
            )
            .refuses(
                json!({"removeCustomConfig": true, "restart": "automatic"}),
                "spec.configuration.restart is one of auto, true, false; did you mean auto?",
            )
            .refuses(
                json!({"configSecret": {}}),
                "spec.configuration.configSecret names no Secret: set spec.configuration.configSecret.name",
            )
            .refuses(
                json!({"configSecret": {"name": "a b"}}),
                "spec.configuration.configSecret.name is not the name of an object",
            ),
    ]
}

fn backends() -> Vec<Row> {
    let list = vec![
        of("Reconfigure", "/spec/configuration")
            .takes(json!({"removeCustomConfig": true, "backend": {"sync": [{"hostName": "a", "weight": 1}]}}))
            .takes(json!({"backend": {"delete": [{"hostName": "a", "weight": 1}]}}))
            .refuses(
                json!({"backend": {}}),
                "spec.configuration.backend changes nothing: list backends in sync or in delete",
            )
            .refuses(
                json!({"removeCustomConfig": true, "backend": {"delete": [{"hostName": "a", "weight": 1}]}}),
                "spec.configuration.backend.delete has nothing left after removeCustomConfig: remove one of the two",
            ),
    ];
    let sync = [
        "spec.configuration.backend.sync[] is one group or one host: set either",
        "spec.configuration.backend.sync[].port belongs to a host: remove port",
        "spec.configuration.backend.sync[].hostName is no host: give a DNS name",
        "spec.configuration.backend.sync[].flag has an unknown word: use",
        "spec.configuration.backend.sync names either groups or hosts: use",
        "spec.configuration.backend.sync has one server twice: remove",
        "spec.configuration.backend.sync[].flag contradicts itself: keep one",
        "spec.configuration.backend.sync has flag ALWAYS_PRIMARY twice: leave it",
    ];
    let delete = [
        "spec.configuration.backend.delete[] is one group or one host: set either",
        "spec.configuration.backend.delete[].port belongs to a host: remove port",
        "spec.configuration.backend.delete[].hostName is no host: give a DNS name",
        "spec.configuration.backend.delete[].flag has an unknown word: use",
        "spec.configuration.backend.delete names either groups or hosts: use",
        "spec.configuration.backend.delete has one server twice: remove",
        "spec.configuration.backend.delete[].flag contradicts itself: keep one",
        "spec.configuration.backend.delete has flag ALWAYS_PRIMARY twice: leave it",
    ];
    list.into_iter()
        .chain([
            backend("/spec/configuration/backend/sync", sync),
            backend("/spec/configuration/backend/delete", delete),
        ])
        .collect()
}

/// A list of backends, with its words for: neither group nor host, port of a group, no host, unknown flag, groups and
/// hosts, one twice, flags at odds, two primaries.
fn backend(list: &'static str, words: [&'static str; 8]) -> Row {
    let host = json!({"hostName": "a", "weight": 1});
    let group = json!({"groupName": "PRIMARY", "weight": 1});
    of("Reconfigure", list)
        .takes(json!([{"groupName": "STANDBY", "weight": 2}, {"groupName": "PRIMARY", "flag": "ALWAYS_PRIMARY", "weight": 0}]))
        .refuses(
            json!([{"hostName": "a", "weight": -1}]),
            "weight in body should be greater than or equal to 0",
        )
        .refuses(
            json!([{"hostName": "a", "weight": 100_000_001}]),
            "weight in body should be less than or equal to 100000000",
        )
        .refuses(
            json!([{"hostName": "a", "port": 0, "weight": 1}]),
            "port in body should be greater than or equal to 1024",
        )
        .refuses(
            json!([{"hostName": "a", "port": 65536, "weight": 1}]),
            "port in body should be less than or equal to 65535",
        )
        .refuses(json!([{"weight": 1}]), words[0])
        .refuses(json!([{"groupName": "PRIMARY", "port": 5432, "weight": 1}]), words[1])
        .refuses(json!([{"hostName": "a b", "weight": 1}]), words[2])
        .refuses(json!([{"hostName": "a", "flag": "x", "weight": 1}]), words[3])
        .refuses(json!([host, group]), words[4])
        .refuses(json!([host, host]), words[5])
        .refuses(
            json!([{"hostName": "a", "flag": "ALLOW_TO_FAILOVER|DISALLOW_TO_FAILOVER", "weight": 1}]),
            words[6],
        )
        .refuses(
            json!([
                {"hostName": "a", "flag": "ALWAYS_PRIMARY", "weight": 1},
                {"hostName": "b", "flag": "ALWAYS_PRIMARY", "weight": 1},
            ]),
            words[7],
        )
}

fn tls() -> Vec<Row> {
    let both = "spec.tls.remove contradicts the rest: leave out rotateCertificates, issuerRef, certificates";
    vec![
        of("ReconfigureTLS", "/spec/tls")
            .takes(json!({"rotateCertificates": true}))
            .takes(json!({"remove": true, "sslMode": "disable", "clientAuthMode": "md5"}))
            .takes(json!({"sslMode": "require", "clientAuthMode": "cert", "issuerRef": {"kind": "Issuer", "name": "a"}}))
            .refuses(json!({}), "spec.tls changes nothing: set issuerRef, certificates, sslMode")
            .refuses(json!({"remove": false}), "spec.tls changes nothing: set issuerRef, certificates, sslMode")
            .refuses(json!({"remove": true, "rotateCertificates": true}), both)
            .refuses(json!({"remove": true, "issuerRef": {"kind": "Issuer", "name": "a"}}), both)
            .refuses(json!({"remove": true, "certificates": [{"alias": "server"}]}), both)
            .refuses(json!({"remove": true, "sslMode": "require"}), both)
            .refuses(json!({"remove": true, "clientAuthMode": "cert"}), both)
            .refuses(
                json!({"sslMode": "disable", "clientAuthMode": "cert"}),
                "spec.tls.clientAuthMode cert needs TLS: set a spec.tls.sslMode other than disable",
            ),
        of("ReconfigureTLS", "/spec/tls/sslMode")
            .takes(json!("verify-ca"))
            .refuses(json!("verify"), "spec.tls.sslMode is one of disable, allow, prefer, require, verify-ca, verify-full"),
        of("ReconfigureTLS", "/spec/tls/clientAuthMode")
            .takes(json!("scram"))
            .refuses(json!("md-5"), "spec.tls.clientAuthMode is one of md5, scram, cert; did you mean md5?"),
        of("ReconfigureTLS", "/spec/tls/issuerRef")
            .takes(json!({"kind": "Issuer", "name": "a"}))
            .refuses(json!({"kind": "Vault", "name": "a"}), "spec.tls.issuerRef.kind of cert-manager is Issuer or ClusterIssuer")
            .refuses(json!({"kind": "Issuer", "name": ""}), "spec.tls.issuerRef.name is not the name of an object"),
        of("ReconfigureTLS", "/spec/tls/certificates")
            .takes(json!([{"alias": "client", "subject": {"organizations": ["a"]}}]))
            .refuses(json!([{"alias": "clinet"}]), "spec.tls.certificates[].alias is one of server, client, metrics-exporter"),
    ]
}

fn authentication() -> Vec<Row> {
    vec![
        of("RotateAuth", "/spec/authentication/secretRef")
            .takes(json!({"name": "new"}))
            .takes(json!({"apiGroup": "", "kind": "Secret", "name": "new"}))
            .refuses(
                json!({"name": ""}),
                "spec.authentication.secretRef.name is not the name of an object",
            )
            .refuses(
                json!({"kind": "ConfigMap", "name": "new"}),
                "spec.authentication.secretRef is not a plain Secret: remove its apiGroup and kind",
            ),
    ]
}
