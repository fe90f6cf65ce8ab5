//! Rows of the catalogue and of `AppBindings`.

use serde_json::{Value, json};

use super::row::Row;
use crate::scene::fixtures::{self, Manifest};

pub(super) fn rows() -> Vec<Row> {
    [version(), binding()].into_iter().flatten().collect()
}

fn entry() -> Manifest {
    Manifest(json!({
        "apiVersion": "catalog.kubedb.com/v1alpha1",
        "kind": "PgpoolVersion",
        "metadata": {"name": "offered"},
        "spec": {"version": "4.6.1", "pgpool": {"image": "example.com/pgpool:4.6.1"}},
    }))
}

fn version() -> Vec<Row> {
    let at = |path| Row::of(|| Ok(entry()), path);
    vec![
        at("/spec/version")
            .takes(json!("4.3.5"))
            .takes(json!("4.6.0-rc.1"))
            .refuses(
                json!("latest"),
                "spec.version is no version of Pgpool-II: write it as 4.6.1",
            )
            .refuses(Value::Null, "spec.version: Required value"),
        at("/spec/pgpool")
            .takes(json!({"image": "example.com/pgpool@sha256:abc"}))
            .refuses(json!({"image": ""}), "spec.pgpool.image is no image: name one")
            .refuses(Value::Null, "spec.pgpool: Required value"),
        at("/spec/exporter")
            .takes(json!({"image": "a"}))
            .refuses(
                json!({"image": "a b"}),
                "spec.exporter.image is no image: name one",
            )
            .refuses(json!({}), "spec.exporter.image: Required value"),
        at("/spec/gitSyncer")
            .takes(json!({"image": "a"}))
            .refuses(json!({"image": ""}), "spec.gitSyncer.image is no image: name one"),
        at("/spec/securityContext/runAsUser").takes(json!(70)).refuses(
            json!(0),
            "spec.securityContext.runAsUser is root or nobody at all: name the user",
        ),
    ]
}

fn binding() -> Vec<Row> {
    let at = |path| Row::of(|| Ok(fixtures::app_binding("data")), path);
    let service = json!({"scheme": "postgresql", "name": "a", "port": 5432});
    vec![
        at("/spec/clientConfig")
            .takes(json!({"url": "postgresql://a:5432"}))
            .takes(json!({"service": service}))
            .refuses(
                json!({"url": "postgresql://a:5432", "service": service}),
                "spec.clientConfig has two addresses: keep either url or service",
            ),
        at("/spec/clientConfig/service/port")
            .takes(json!(65535))
            .refuses(
                json!(0),
                "spec.clientConfig.service.port in body should be greater than or equal to 1",
            )
            .refuses(
                json!(65536),
                "spec.clientConfig.service.port in body should be less than or equal to 65535",
            )
            .refuses(Value::Null, "spec.clientConfig.service.port: Required value"),
        at("/spec/secretTransforms")
            .takes(json!([{"removeKey": {"key": "a"}}]))
            .refuses(
                json!([{}]),
                "spec.secretTransforms[] makes one change each: set one of renameKey",
            )
            .refuses(
                json!([{"removeKey": {"key": "a"}, "addKey": {"key": "b"}}]),
                "spec.secretTransforms[] makes one change each: set one of renameKey",
            ),
    ]
}
