//! Rows of a Pgpool: its name, its modes, its certificates and credentials.

use serde_json::{Value, json};

use super::pool;
use super::row::Row;

const ABSENT: Value = Value::Null;

pub(super) fn rows() -> Vec<Row> {
    [
        identity(),
        numbers(),
        modes(),
        tls(),
        certificates(),
        auth_secret(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn at(path: &'static str) -> Row {
    Row::of(pool, path)
}

/// Without TLS, which other rows then ask for.
fn plain(path: &'static str) -> Row {
    at(path).given("/spec/tls", ABSENT).given("/spec/sslMode", ABSENT)
}

fn identity() -> Vec<Row> {
    let name = "metadata.name names Services and pods: start with a letter";
    vec![
        at("/metadata/name")
            .takes(json!("a"))
            .takes(json!("a".repeat(52)))
            .refuses(json!("1pool"), name)
            .refuses(json!("a.b"), name)
            .refuses(json!("a".repeat(53)), name)
            .refuses(json!("a".repeat(64)), name),
        at("/spec/version")
            .takes(json!("4.5.0"))
            .refuses(json!(""), "spec.version is not the name of an object")
            .refuses(
                json!("4.5 "),
                "name a PgpoolVersion, see kubectl get pgpoolversions",
            )
            .refuses(ABSENT, "spec.version: Required value"),
        at("/spec/postgresRef/name")
            .takes(json!("orders"))
            .refuses(json!(""), "spec.postgresRef.name is not the name of an object")
            .refuses(json!("a/b"), "name the AppBinding of the PostgreSQL")
            .refuses(ABSENT, "spec.postgresRef.name: Required value"),
        at("/spec/postgresRef/namespace")
            .takes(json!(""))
            .takes(ABSENT)
            .refuses(
                json!("a/../b"),
                "spec.postgresRef.namespace is not the name of an object",
            ),
        at("/spec/postgresRef")
            .takes(json!({"name": "orders"}))
            .refuses(ABSENT, "spec.postgresRef: Required value"),
    ]
}

fn numbers() -> Vec<Row> {
    vec![
        at("/spec/replicas")
            .takes(json!(1))
            .takes(json!(9))
            .takes(ABSENT)
            .refuses(
                json!(0),
                "spec.replicas in body should be greater than or equal to 1",
            )
            .refuses(
                json!(10),
                "spec.replicas in body should be less than or equal to 9",
            )
            .refuses(json!("3"), "spec.replicas in body must be of type integer"),
        at("/spec/terminationPolicy")
            .takes(ABSENT)
            .refuses(json!("Delete"), "unknown field \"spec.terminationPolicy\""),
        at("/spec/podTemplate/spec/affinity")
            .takes(ABSENT)
            .refuses(json!({}), "unknown field \"spec.podTemplate.spec.affinity\""),
        at("/spec/healthChecker")
            .takes(json!({"periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1}))
            .refuses(
                json!({"periodSeconds": 0}),
                "periodSeconds in body should be greater than or equal to 1",
            )
            .refuses(
                json!({"timeoutSeconds": -1}),
                "timeoutSeconds in body should be greater than or equal to 1",
            )
            .refuses(
                json!({"failureThreshold": 0}),
                "failureThreshold in body should be greater than or equal to 1",
            ),
    ]
}

fn modes() -> Vec<Row> {
    let needed = "spec.sslMode other than disable needs certificates: set spec.tls.issuerRef, or set spec.sslMode to disable";
    let cert =
        "spec.clientAuthMode cert needs TLS: set spec.tls.issuerRef and a spec.sslMode other than disable";
    vec![
        plain("/spec/sslMode")
            .given("/spec/clientAuthMode", ABSENT)
            .takes(json!("disable"))
            .takes(ABSENT)
            .refuses(json!("prefer"), needed)
            .refuses(json!("verify-full"), needed),
        at("/spec/sslMode")
            .takes(json!("disable"))
            .takes(json!("allow"))
            .takes(json!("prefer"))
            .takes(json!("require"))
            .takes(json!("verify-ca"))
            .takes(json!("verify-full"))
            .takes(ABSENT)
            .refuses(
                json!("disabled"),
                "spec.sslMode is one of disable, allow, prefer, require, verify-ca, verify-full; did you mean disable?",
            )
            .refuses(json!("Required"), "; did you mean require?")
            .refuses(json!("verify_full"), "; did you mean verify-full?")
            .refuses(json!("verfy"), "; did you mean verify-ca or verify-full?")
            .refuses(
                json!("xyz"),
                "spec.sslMode is one of disable, allow, prefer, require, verify-ca, verify-full",
            ),
        at("/spec/clientAuthMode")
            .takes(json!("md5"))
            .takes(json!("scram"))
            .takes(json!("cert"))
            .takes(ABSENT)
            .refuses(
                json!("SCRAM-SHA-256"),
                "spec.clientAuthMode is one of md5, scram, cert; did you mean scram?",
            ),
        at("/spec/clientAuthMode")
            .given("/spec/sslMode", json!("disable"))
            .takes(json!("scram"))
            .refuses(json!("cert"), cert),
        at("/spec/clientAuthMode")
            .given("/spec/sslMode", ABSENT)
            .takes(json!("cert"))
            .refuses(json!("certificate"), "; did you mean cert?"),
        plain("/spec/clientAuthMode").takes(json!("md5")).refuses(json!("cert"), cert),
        at("/spec/deletionPolicy")
            .takes(json!("Halt"))
            .takes(json!("Delete"))
            .takes(json!("WipeOut"))
            .takes(json!("DoNotTerminate"))
            .takes(ABSENT)
            .refuses(
                json!("wipe-out"),
                "spec.deletionPolicy is one of Halt, Delete, WipeOut, DoNotTerminate; did you mean WipeOut?",
            )
            .refuses(json!("terminate"), "; did you mean DoNotTerminate?"),
    ]
}

fn tls() -> Vec<Row> {
    let issuer = "issuerRef.kind of cert-manager is Issuer or ClusterIssuer: correct it";
    vec![
        at("/spec/tls/issuerRef")
            .takes(json!({"kind": "ClusterIssuer", "name": "a"}))
            .takes(json!({"apiGroup": "issuers.example.com", "kind": "VaultIssuer", "name": "a"}))
            .refuses(ABSENT, "spec.tls needs an issuer: set spec.tls.issuerRef to the kind and name of an Issuer")
            .refuses(json!({"kind": "issuer", "name": "a"}), "spec.tls.issuerRef.kind of cert-manager is Issuer or ClusterIssuer")
            .refuses(json!({"apiGroup": "cert-manager.io", "kind": "Vault", "name": "a"}), issuer)
            .refuses(json!({"kind": "Issuer", "name": ""}), "spec.tls.issuerRef.name is not the name of an object")
            .refuses(json!({"kind": "Issuer"}), "spec.tls.issuerRef.name: Required value"),
        at("/spec/tls/certificates")
            .takes(json!([{"alias": "server"}, {"alias": "client"}, {"alias": "metrics-exporter"}]))
            .takes(json!([]))
            .refuses(
                json!([{"alias": "exporter"}]),
                "spec.tls.certificates[].alias is one of server, client, metrics-exporter; did you mean metrics-exporter?",
            )
            .refuses(json!([{"alias": "servre"}]), "; did you mean server?")
            .refuses(json!([{"alias": "server"}, {"alias": "server"}]), "spec.tls.certificates[1]: Duplicate value")
            .refuses(json!([{"secretName": "a"}]), "spec.tls.certificates[0].alias: Required value"),
        at("/spec/tls/certificates")
            .takes(json!([{"alias": "server", "secretName": "a"}, {"alias": "client", "secretName": "b"}]))
            .takes(json!([{"alias": "server", "secretName": ""}, {"alias": "client", "secretName": ""}]))
            .refuses(
                json!([{"alias": "server", "secretName": "a"}, {"alias": "client", "secretName": "a"}]),
                "spec.tls.certificates writes two certificates to one Secret: give each a secretName of its own",
            )
            .refuses(
                json!([{"alias": "server", "secretName": "A b"}]),
                "spec.tls.certificates[].secretName is not the name of an object",
            ),
    ]
}

fn certificates() -> Vec<Row> {
    let renewal =
        "spec.tls.certificates[].renewBefore leaves no time between issue and renewal: make it 5m or more";
    vec![
        at("/spec/tls/certificates/0/issuerRef")
            .takes(json!({"kind": "Issuer", "name": "a"}))
            .refuses(
                json!({"kind": "Vault", "name": "a"}),
                "spec.tls.certificates[].issuerRef.kind of cert-manager is Issuer or ClusterIssuer",
            )
            .refuses(
                json!({"kind": "Issuer", "name": "A"}),
                "spec.tls.certificates[].issuerRef.name is not the name of an object",
            ),
        at("/spec/tls/certificates/0/privateKey/encoding")
            .takes(json!("PKCS8"))
            .refuses(
                json!("pkcs-8"),
                "spec.tls.certificates[].privateKey.encoding is one of PKCS1, PKCS8; did you mean",
            ),
        at("/spec/tls/certificates/0/duration")
            .takes(json!("1h"))
            .takes(json!("2160h0m0s"))
            .refuses(
                json!("59m"),
                "spec.tls.certificates[].duration is shorter than cert-manager issues: make it 1h or more",
            )
            .refuses(
                json!("90d"),
                "spec.tls.certificates[0].duration in body should match",
            ),
        at("/spec/tls/certificates/0/renewBefore")
            .takes(json!("2159h"))
            .refuses(json!("2160h"), renewal)
            .refuses(json!("4m"), renewal)
            .refuses(
                json!("soon"),
                "spec.tls.certificates[0].renewBefore in body should match",
            ),
        at("/spec/tls/certificates/0/renewBefore")
            .given("/spec/tls/certificates/0/duration", json!("2h"))
            .takes(json!("1h"))
            .refuses(json!("2h"), renewal),
    ]
}

fn auth_secret() -> Vec<Row> {
    vec![
        at("/spec/authSecret")
            .takes(json!({"name": "mine", "externallyManaged": true}))
            .takes(json!({"externallyManaged": false}))
            .takes(json!({"kind": "secret", "name": "mine"}))
            .takes(json!({"apiGroup": "virtual-secrets.dev", "kind": "Secret", "name": "a", "secretStoreName": "vault"}))
            .refuses(
                json!({"externallyManaged": true}),
                "spec.authSecret.externallyManaged needs a Secret of yours: set spec.authSecret.name",
            )
            .refuses(json!({"kind": "ConfigMap"}), "spec.authSecret.kind is Secret: correct it or leave it out")
            .refuses(
                json!({"name": "a", "secretStoreName": "vault"}),
                "spec.authSecret.secretStoreName is for virtual secrets: leave it out for a plain Secret",
            )
            .refuses(json!({"name": "a b"}), "spec.authSecret.name is not the name of an object"),
        at("/spec/authSecret/rotateAfter")
            .takes(json!("720h"))
            .refuses(json!("30 days"), "spec.authSecret.rotateAfter in body should match"),
    ]
}
