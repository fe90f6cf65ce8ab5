//! The definitions: as checked in, small enough, structural where it matters, and wide enough for every manifest.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared_types::{AppBinding, Pgpool, PgpoolOpsRequest, PgpoolVersion, crds};

/// What an annotation of `kubectl apply` can hold, and less than etcd stores.
const LIMIT: usize = 262_144;

#[test]
fn definitions_are_small() {
    for crd in crds::all() {
        let size = serde_json::to_vec(&crd).unwrap().len();
        assert!(
            size < LIMIT / 2,
            "{} has {size} bytes",
            crd.metadata.name.unwrap()
        );
    }
}

#[test]
fn identity_is_that_of_kubedb() {
    let summary: Vec<_> = crds::all()
        .into_iter()
        .map(|crd| {
            let spec = crd.spec;
            let version = &spec.versions[0];
            let columns = version.additional_printer_columns.clone().unwrap_or_default();
            let columns: Vec<_> = columns
                .into_iter()
                .filter(|c| c.priority.is_none())
                .map(|c| c.name)
                .collect();
            format!(
                "{}/{} {} {} {:?} {:?} {:?}",
                spec.group,
                version.name,
                spec.names.plural,
                spec.scope,
                spec.names.short_names.unwrap_or_default(),
                spec.names.categories.unwrap_or_default(),
                columns
            )
        })
        .collect();
    assert_eq!(
        summary,
        [
            r#"appcatalog.appscode.com/v1alpha1 appbindings Namespaced [] ["catalog", "appscode", "all"] ["Type", "Version", "Age"]"#,
            r#"ops.kubedb.com/v1alpha1 pgpoolopsrequests Namespaced ["ppops"] ["ops", "kubedb", "appscode"] ["Type", "Status", "Age"]"#,
            r#"kubedb.com/v1alpha2 pgpools Namespaced ["pp"] ["datastore", "kubedb", "appscode", "all"] ["Version", "Status", "Age"]"#,
            r#"catalog.kubedb.com/v1alpha1 pgpoolversions Cluster ["ppversion"] ["catalog", "kubedb", "appscode"] ["Version", "PGPOOL_IMAGE", "Deprecated", "Age"]"#,
        ]
    );
}

/// Server-side apply merges lists of core types by the keys of the API of Kubernetes, and replaces others as a whole.
#[test]
fn every_list_has_a_type() {
    for crd in crds::all() {
        let name = crd.metadata.name.clone().unwrap();
        visit(&schema(&crd), &mut |schema| {
            if schema.get("type").is_some_and(|kind| kind == "array") {
                assert!(
                    schema.contains_key("x-kubernetes-list-type"),
                    "{name}: {schema:?}"
                );
            }
        });
    }
    let schema = schema_of("Pgpool");
    let container =
        "/properties/spec/properties/podTemplate/properties/spec/properties/containers/items/properties";
    let keys = |list: &str| {
        let list = schema.pointer(&format!("{container}/{list}")).unwrap();
        list["x-kubernetes-list-map-keys"].clone()
    };
    assert_eq!(keys("env"), serde_json::json!(["name"]));
    assert_eq!(keys("ports"), serde_json::json!(["containerPort", "protocol"]));
    assert_eq!(keys("volumeMounts"), serde_json::json!(["mountPath"]));
    assert_eq!(keys("resources/properties/claims"), serde_json::json!(["name"]));
}

#[test]
fn every_text_list_and_map_has_a_limit() {
    for crd in crds::all() {
        visit(&schema(&crd), &mut |map| {
            let keyword = match map.get("type").and_then(Value::as_str) {
                Some("string") if !map.contains_key("enum") => "maxLength",
                Some("array") => "maxItems",
                Some("object") if map.contains_key("additionalProperties") => "maxProperties",
                _ => return,
            };
            assert!(map.contains_key(keyword), "no {keyword} in {map:?}");
        });
    }
}

#[test]
fn shared_lists_are_merged_by_key() {
    let schema = schema_of("Pgpool");
    let lists = [
        ("/properties/status/properties/conditions", "type"),
        ("/properties/status/properties/certificates", "alias"),
        ("/properties/status/properties/pods", "name"),
        ("/properties/spec/properties/tls/properties/certificates", "alias"),
        (
            "/properties/spec/properties/podTemplate/properties/spec/properties/containers",
            "name",
        ),
    ];
    for (path, key) in lists {
        let list = schema
            .pointer(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(list["x-kubernetes-list-type"], "map", "{path}");
        assert_eq!(
            list["x-kubernetes-list-map-keys"],
            serde_json::json!([key]),
            "{path}"
        );
    }
}

/// In a spec, that is: the status of an object that no operator has seen says so.
#[test]
fn nothing_is_written_back_and_no_null_is_stored() {
    for crd in crds::all() {
        let name = crd.metadata.name.clone().unwrap();
        let mut schema = schema(&crd);
        let status = schema
            .pointer_mut("/properties/status")
            .and_then(Value::as_object_mut);
        let default = status.and_then(|status| status.remove("default"));
        let unseen = (name == "pgpools.kubedb.com").then(|| serde_json::json!({ "observedGeneration": -1 }));
        assert_eq!(default, unseen, "{name}");
        visit(&schema, &mut |schema| {
            // A key of a merged list needs a value; Kubernetes has this default as well.
            let default = schema.get("default").is_some_and(|default| default != "TCP");
            assert!(!default && !schema.contains_key("nullable"), "{name}: {schema:?}");
        });
    }
}

#[test]
fn embedded_types_bring_no_descriptions() {
    let schema = schema_of("Pgpool");
    let container = "/properties/spec/properties/podTemplate/properties/spec/properties/containers/items";
    visit(schema.pointer(container).unwrap(), &mut |schema| {
        assert!(!schema.contains_key("description"));
    });
}

#[test]
fn samples_lose_nothing_on_the_way() {
    for manifest in documents(include_str!("samples/pgpools.yaml")) {
        round_trip::<Pgpool>(&manifest);
    }
    for manifest in documents(include_str!("samples/ops_requests.yaml")) {
        round_trip::<PgpoolOpsRequest>(&manifest);
    }
    for manifest in documents(include_str!("samples/catalog.yaml")) {
        match manifest["kind"].as_str().unwrap() {
            "PgpoolVersion" => round_trip::<PgpoolVersion>(&manifest),
            "AppBinding" => round_trip::<AppBinding>(&manifest),
            kind => panic!("no sample of kind {kind} is expected here"),
        }
    }
}

#[test]
fn samples_fit_the_schema() {
    let samples = [
        include_str!("samples/pgpools.yaml"),
        include_str!("samples/ops_requests.yaml"),
        include_str!("samples/catalog.yaml"),
    ];
    for manifest in samples.into_iter().flat_map(documents) {
        let name = manifest["metadata"]["name"].as_str().unwrap();
        let schema = schema_of(manifest["kind"].as_str().unwrap());
        for part in ["spec", "status"] {
            unknown_fields(
                &schema["properties"][part],
                &manifest[part],
                &format!("{name}: {part}"),
            );
        }
    }
}

#[test]
fn the_sample_of_every_field_has_every_field() {
    let manifests = documents(include_str!("samples/pgpools.yaml"));
    let manifest = manifests
        .iter()
        .find(|m| m["metadata"]["name"] == "every-field")
        .unwrap();
    let schema = schema_of("Pgpool");
    let own = [
        "",
        "/authSecret",
        "/autoOps",
        "/configuration",
        "/healthChecker",
        "/tls",
        "/init",
        "/init/script/git",
        "/monitor",
        "/monitor/prometheus",
        "/monitor/prometheus/exporter",
        "/monitor/prometheus/serviceMonitor",
        "/podTemplate",
        "/podTemplate/spec",
    ];
    let exceptions = ["authSecret/secretStoreName", "authSecret/apiGroup"];
    for path in own {
        let properties = path.split('/').filter(|part| !part.is_empty());
        let schema = properties.fold(&schema["properties"]["spec"], |schema, part| {
            &schema["properties"][part]
        });
        let value = manifest["spec"]
            .pointer(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        for field in schema["properties"].as_object().unwrap().keys() {
            let excused = exceptions.contains(&format!("{path}/{field}").trim_start_matches('/'));
            assert!(
                excused || value.get(field).is_some(),
                "spec{path}/{field} is missing"
            );
        }
    }
}

fn schema(crd: &CustomResourceDefinition) -> Value {
    let version = &crd.spec.versions[0];
    serde_json::to_value(
        version
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap(),
    )
    .unwrap()
}

/// Schemas by kind, made once: they are large.
static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    crds::all()
        .iter()
        .map(|crd| (crd.spec.names.kind.clone(), schema(crd)))
        .collect()
});

fn schema_of(kind: &str) -> &'static Value {
    &SCHEMAS[kind]
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn round_trip<K: DeserializeOwned + Serialize>(manifest: &Value) {
    let typed: K = serde_json::from_value(manifest.clone()).unwrap_or_else(|e| panic!("{e}: {manifest}"));
    let again = serde_json::to_value(typed).unwrap();
    assert_contains(&again, manifest, &format!("{}", manifest["metadata"]["name"]));
}

/// Everything in `part` stands in `whole`; a quantity may be written as a number and read back as text.
fn assert_contains(whole: &Value, part: &Value, path: &str) {
    // Nobody reads what is in these.
    let unread = [".archiver", ".parameters", ".values", ".ephemeralContainers["];
    if *whole == serde_json::json!({}) && unread.iter().any(|field| path.contains(field)) {
        return;
    }
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                let found = whole.get(key).unwrap_or_else(|| panic!("{path}.{key} is lost"));
                assert_contains(found, value, &format!("{path}.{key}"));
            }
        }
        (Value::Array(whole), Value::Array(part)) => {
            assert_eq!(whole.len(), part.len(), "{path}");
            for (at, (whole, part)) in whole.iter().zip(part).enumerate() {
                assert_contains(whole, part, &format!("{path}[{at}]"));
            }
        }
        (Value::String(text), Value::Number(number)) => assert_eq!(*text, number.to_string(), "{path}"),
        _ => assert_eq!(whole, part, "{path}"),
    }
}

/// What strict field validation of the API server would name.
fn unknown_fields(schema: &Value, value: &Value, path: &str) {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let known = schema["properties"]
                    .get(key)
                    .or_else(|| schema.get("additionalProperties"));
                let known = known.unwrap_or_else(|| panic!("{path}.{key} is unknown"));
                unknown_fields(known, value, &format!("{path}.{key}"));
            }
        }
        Value::Array(items) => {
            for item in items {
                unknown_fields(&schema["items"], item, path);
            }
        }
        _ => {}
    }
}

/// Calls `check` on every object of a schema that is a schema itself, not a list of properties.
fn visit(schema: &Value, check: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    let Value::Object(map) = schema else { return };
    check(map);
    for (key, value) in map {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values().for_each(|property| visit(property, check));
            }
            ("items" | "additionalProperties", value) => visit(value, check),
            _ => {}
        }
    }
}
