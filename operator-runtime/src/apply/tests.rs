//! Apply and delete against a scripted API server; comparison and claims as tables and properties.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{APPLIED, Applier, ApplyError, Change, claim, compare, prepared};
use crate::controller::Classified;
use crate::testing::{Call, Script};

const PATH: &str = "/api/v1/namespaces/ns/configmaps/cm";

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn owner(uid: &str) -> Value {
    json!([{
        "apiVersion": "kubedb.com/v1alpha2", "kind": "Pgpool", "name": "pool", "uid": uid, "controller": true,
    }])
}

fn labels() -> Value {
    json!({ "app.kubernetes.io/managed-by": "kubedb.com", "app.kubernetes.io/instance": "pool" })
}

fn desired(data: &str) -> ConfigMap {
    from(json!({
        "metadata": { "name": "cm", "namespace": "ns", "labels": labels(), "ownerReferences": owner("u1") },
        "data": { "key": data },
    }))
}

/// What the API server keeps after `desired` was applied.
fn live(desired: &ConfigMap) -> ConfigMap {
    let mut live = prepared(desired).unwrap();
    live["metadata"]["uid"] = json!("live-uid");
    live["metadata"]["resourceVersion"] = json!("7");
    from(live)
}

fn applier(client: Client) -> Applier {
    Applier::new(client, "tester")
}

#[tokio::test]
async fn a_new_object_takes_one_request_that_can_only_create() {
    let (client, script) = Script::new()
        .expect(
            Call::patch(PATH)
                .query("fieldManager=tester")
                .query("force=true")
                .check(|body| {
                    assert_eq!(body["metadata"]["resourceVersion"], "1");
                    assert_eq!(body["kind"], "ConfigMap");
                    assert_eq!(body["apiVersion"], "v1");
                    assert_eq!(
                        body["metadata"]["annotations"][APPLIED].as_str().unwrap().len(),
                        32
                    );
                }),
        )
        .start();
    let applied = applier(client).apply(&desired("a"), None).await.unwrap();
    assert_eq!(applied.change, Change::Created);
    script.finish().await;
}

#[tokio::test]
async fn an_object_that_stands_takes_no_request() {
    let (client, script) = Script::new().start();
    let wanted = desired("a");
    let mut present = live(&wanted);
    present
        .data
        .as_mut()
        .unwrap()
        .insert("foreign".to_owned(), "x".to_owned());
    let applied = applier(client).apply(&wanted, Some(&present)).await.unwrap();
    assert_eq!(applied.change, Change::None);
    assert_eq!(applied.object, present);
    script.finish().await;
}

#[tokio::test]
async fn drift_is_mended_for_exactly_the_object_that_was_judged() {
    let (client, script) = Script::new()
        .expect(Call::patch(PATH).check(|body| {
            assert_eq!(body["metadata"]["uid"], "live-uid");
            assert_eq!(body["metadata"].get("resourceVersion"), None);
            assert_eq!(body["data"]["key"], "a");
        }))
        .start();
    let wanted = desired("a");
    let mut present = live(&wanted);
    present
        .data
        .as_mut()
        .unwrap()
        .insert("key".to_owned(), "edited".to_owned());
    let applied = applier(client).apply(&wanted, Some(&present)).await.unwrap();
    assert_eq!(applied.change, Change::Configured);
    script.finish().await;
}

#[tokio::test]
async fn a_field_that_is_no_longer_desired_is_noticed_by_the_hash() {
    let (client, script) = Script::new().expect(Call::patch(PATH)).start();
    let mut before = desired("a");
    before
        .data
        .as_mut()
        .unwrap()
        .insert("former".to_owned(), "x".to_owned());
    let applied = applier(client)
        .apply(&desired("a"), Some(&live(&before)))
        .await
        .unwrap();
    assert_eq!(applied.change, Change::Configured);
    script.finish().await;
}

#[tokio::test]
async fn an_object_outside_the_cache_is_judged_before_it_is_touched() {
    let foreign = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "cm", "namespace": "ns", "uid": "x", "labels": { "app": "theirs" } },
    });
    let (client, script) = Script::new()
        .expect(Call::patch(PATH).refuse(409, "Conflict", "the object has been modified"))
        .expect(Call::get(PATH).reply(foreign))
        .start();
    let error = applier(client).apply(&desired("a"), None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "ConfigMap ns/cm exists and belongs to somebody else; rename or delete it"
    );
    assert_eq!(error.class(), "name_conflict");
    script.finish().await;
}

#[tokio::test]
async fn an_orphan_of_ours_is_adopted() {
    let mut orphan = live(&desired("a"));
    orphan.metadata.owner_references = None;
    let answer = serde_json::to_value(&orphan).unwrap();
    let (client, script) = Script::new()
        .expect(Call::patch(PATH).refuse(409, "Conflict", "the object has been modified"))
        .expect(Call::get(PATH).reply(answer))
        .expect(Call::patch(PATH).check(|body| {
            assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "u1");
            assert_eq!(body["metadata"]["uid"], "live-uid");
        }))
        .start();
    let applied = applier(client).apply(&desired("a"), None).await.unwrap();
    assert_eq!(applied.change, Change::Configured);
    script.finish().await;
}

#[tokio::test(start_paused = true)]
async fn silence_and_refusal_are_errors_with_the_object_in_them() {
    let (service, _handle) =
        tower_test::mock::pair::<http::Request<kube::client::Body>, http::Response<kube::client::Body>>();
    let silent = Client::new(service, "default");
    let error = applier(silent).apply(&desired("a"), None).await.unwrap_err();
    assert!(matches!(error, ApplyError::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("ConfigMap ns/cm"), "{error}");

    let (client, script) = Script::new()
        .expect(Call::patch(PATH).refuse(403, "Forbidden", "no right to patch configmaps"))
        .start();
    let error = applier(client).apply(&desired("a"), None).await.unwrap_err();
    assert_eq!((error.class(), error.code()), ("forbidden", Some(403)));
    assert!(
        error.to_string().contains("no right to patch configmaps"),
        "{error}"
    );
    script.finish().await;
}

#[tokio::test]
async fn a_secret_in_plain_text_is_sent_and_compared_as_data() {
    let wanted: Secret = from(json!({
        "metadata": { "name": "s", "namespace": "ns", "labels": labels(), "ownerReferences": owner("u1") },
        "stringData": { "password": "hush" },
    }));
    let (client, script) = Script::new()
        .expect(Call::patch("/api/v1/namespaces/ns/secrets/s").check(|body| {
            assert_eq!(body["data"]["password"], "aHVzaA==");
            assert_eq!(body.get("stringData"), None);
        }))
        .start();
    let applied = applier(client.clone()).apply(&wanted, None).await.unwrap();
    let mut present = applied.object;
    present.metadata.uid = Some("s-uid".to_owned());
    present.metadata.resource_version = None;
    let again = applier(client).apply(&wanted, Some(&present)).await.unwrap();
    assert_eq!(again.change, Change::None);
    script.finish().await;
}

#[tokio::test]
async fn deletion_names_the_object_that_was_meant() {
    let gone = "the precondition failed: UID";
    let (client, script) = Script::new()
        .expect(
            Call::delete(PATH)
                .check(|body| {
                    assert_eq!(body["preconditions"]["uid"], "live-uid");
                    assert_eq!(body["propagationPolicy"], "Background");
                })
                .reply(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" })),
        )
        .expect(Call::delete(PATH).refuse(404, "NotFound", "no such object"))
        .expect(Call::delete(PATH).refuse(409, "Conflict", gone))
        .expect(Call::delete(PATH).refuse(403, "Forbidden", "no right"))
        .expect(
            Call::delete("/api/v1/namespaces/x")
                .reply(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" })),
        )
        .start();
    let (applier, present) = (applier(client), live(&desired("a")));
    assert!(applier.delete(&present).await.unwrap());
    assert!(!applier.delete(&present).await.unwrap());
    assert!(!applier.delete(&present).await.unwrap());
    assert!(applier.delete(&present).await.is_err());
    let cluster_wide: Namespace = from(json!({ "metadata": { "name": "x" } }));
    assert!(applier.delete(&cluster_wide).await.unwrap());
    script.finish().await;
}

#[test]
fn claims() {
    let meta = |value: Value| from::<ObjectMeta>(value);
    let wanted = meta(json!({ "labels": labels(), "ownerReferences": owner("u1") }));
    let kept = meta(json!({ "labels": labels() }));
    let cases = [
        ("ours", &wanted, json!({ "ownerReferences": owner("u1") }), None),
        (
            "an orphan with our labels",
            &wanted,
            json!({ "labels": labels() }),
            None,
        ),
        (
            "one of our former self",
            &wanted,
            json!({ "labels": labels(), "ownerReferences": owner("u0") }),
            None,
        ),
        (
            "one to be kept, still owned",
            &kept,
            json!({ "labels": labels(), "ownerReferences": owner("u1") }),
            None,
        ),
        ("one that is kept", &kept, json!({ "labels": labels() }), None),
        (
            "unlabelled, owned by another self",
            &wanted,
            json!({ "ownerReferences": owner("u0") }),
            Some("Pgpool pool"),
        ),
        ("nobody's", &wanted, json!({}), Some("somebody else")),
        (
            "another's",
            &wanted,
            json!({ "labels": labels(), "ownerReferences": [
                { "apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u9", "controller": true },
            ] }),
            Some("Deployment d"),
        ),
        (
            "another pool's",
            &wanted,
            json!({ "labels": { "app.kubernetes.io/managed-by": "kubedb.com", "app.kubernetes.io/instance": "other" } }),
            Some("other, managed by kubedb.com"),
        ),
        (
            "a chart's",
            &wanted,
            json!({ "labels": { "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "pool" } }),
            Some("pool, managed by Helm"),
        ),
        (
            "kept, but another pool's by now",
            &kept,
            json!({ "labels": labels(), "ownerReferences": [
                { "apiVersion": "kubedb.com/v1alpha2", "kind": "Pgpool", "name": "other", "uid": "u9", "controller": true },
            ] }),
            Some("Pgpool other"),
        ),
    ];
    for (what, wanted, live, expected) in cases {
        assert_eq!(
            claim::other_owner(wanted, &meta(live)).as_deref(),
            expected,
            "{what}"
        );
    }
    let unlabelled = meta(json!({}));
    assert!(
        claim::other_owner(&unlabelled, &unlabelled).is_some(),
        "no labels prove nothing"
    );
}

#[test]
fn what_stands() {
    let container = |extra: Value| {
        let mut container = json!({ "name": "c", "image": "i" });
        for (key, value) in extra.as_object().unwrap() {
            container[key] = value.clone();
        }
        json!({ "spec": { "containers": [container] } })
    };
    let cases = [
        ("itself", json!({ "a": 1 }), json!({ "a": 1 }), true),
        ("defaults", json!({ "a": 1 }), json!({ "a": 1, "b": 2 }), true),
        ("another value", json!({ "a": 1 }), json!({ "a": 2 }), false),
        ("missing", json!({ "a": 1 }), json!({}), false),
        (
            "no kind in a list",
            json!({ "kind": "X", "a": 1 }),
            json!({ "a": 1 }),
            true,
        ),
        (
            "a kind inside",
            json!({ "ref": { "kind": "X" } }),
            json!({ "ref": {} }),
            false,
        ),
        (
            "empty is dropped",
            json!({ "a": {}, "b": [], "c": { "d": {} } }),
            json!({}),
            true,
        ),
        (
            "empty is not full",
            json!({ "a": [] }),
            json!({ "a": [1] }),
            false,
        ),
        ("false is a value", json!({ "a": false }), json!({}), false),
        ("numbers by value", json!({ "a": 1 }), json!({ "a": 1.0 }), true),
        (
            "a port by number or name",
            json!({ "a": 1 }),
            json!({ "a": "1" }),
            false,
        ),
        (
            "quantities by value",
            container(json!({ "resources": { "requests": { "cpu": "1000m", "memory": "1024Mi" } } })),
            container(json!({ "resources": { "requests": { "cpu": "1", "memory": "1Gi" } } })),
            true,
        ),
        (
            "other text by text",
            container(json!({ "image": "1" })),
            container(json!({ "image": "1000m" })),
            false,
        ),
        (
            "a size limit",
            json!({ "volumes": [{ "name": "v", "emptyDir": { "sizeLimit": "1Ki" } }] }),
            json!({ "volumes": [{ "name": "v", "emptyDir": { "sizeLimit": "1024" } }] }),
            true,
        ),
        (
            "an injected container",
            container(json!({})),
            json!({ "spec": { "containers": [{ "name": "mesh" }, { "name": "c", "image": "i", "x": 1 }] } }),
            true,
        ),
        (
            "two mounts of one volume",
            container(json!({ "volumeMounts": [
                { "name": "v", "mountPath": "/a" }, { "name": "v", "mountPath": "/b" } ] })),
            container(json!({ "volumeMounts": [
                { "name": "v", "mountPath": "/b" }, { "name": "v", "mountPath": "/a" } ] })),
            true,
        ),
        (
            "one port by two protocols",
            json!({ "ports": [{ "port": 1, "name": "t" }, { "port": 1, "protocol": "UDP", "name": "u" }] }),
            json!({ "ports": [
                { "port": 1, "protocol": "UDP", "name": "u" }, { "port": 1, "protocol": "TCP", "name": "t" } ] }),
            true,
        ),
        (
            "env by name",
            container(json!({ "env": [{ "name": "A", "value": "1" }] })),
            container(json!({ "env": [{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }] })),
            true,
        ),
        (
            "env with another value",
            container(json!({ "env": [{ "name": "A", "value": "1" }] })),
            container(json!({ "env": [{ "name": "A", "value": "2" }] })),
            false,
        ),
        (
            "lists of text whole",
            json!({ "dnsNames": ["a"] }),
            json!({ "dnsNames": ["a", "b"] }),
            false,
        ),
        (
            "in their order",
            json!({ "command": ["a", "b"] }),
            json!({ "command": ["b", "a"] }),
            false,
        ),
        (
            "projected sources by place",
            json!({ "sources": [{ "secret": { "name": "a" } }, { "secret": { "name": "b" } }] }),
            json!({ "sources": [{ "secret": { "name": "a" } }, { "secret": { "name": "b" } }] }),
            true,
        ),
        (
            "a key twice is no key",
            json!({ "env": [{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }] }),
            json!({ "env": [{ "name": "A", "value": "1" }, { "name": "A", "value": "3" }] }),
            false,
        ),
        (
            "owners by uid",
            json!({ "ownerReferences": [{ "uid": "1", "name": "a" }] }),
            json!({ "ownerReferences": [{ "uid": "0", "name": "z" }, { "uid": "1", "name": "a" }] }),
            true,
        ),
    ];
    for (what, desired, live, expected) in cases {
        assert_eq!(compare::stands(&desired, &live), expected, "{what}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z0-9]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("name|port|mountPath|limits|[a-f]", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Adds fields that nobody asked for to every map.
fn with_defaults(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut map: serde_json::Map<String, Value> = map
                .iter()
                .map(|(key, value)| (key.clone(), with_defaults(value)))
                .collect();
            map.insert("zDefaulted".to_owned(), json!("x"));
            Value::Object(map)
        }
        Value::Array(items) => items.iter().map(with_defaults).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn everything_stands_in_itself_with_and_without_defaults(value in json_value()) {
        prop_assert!(compare::stands(&value, &value));
        prop_assert!(compare::stands(&value, &with_defaults(&value)), "{}", value);
    }

    #[test]
    fn nothing_panics(desired in json_value(), live in json_value()) {
        compare::stands(&desired, &live);
        let mut pruned = desired.clone();
        compare::drop_nulls(&mut pruned);
        compare::encode_string_data(&mut pruned);
    }

    #[test]
    fn another_leaf_never_stands(value in json_value(), at in any::<prop::sample::Index>()) {
        let mut changed = value.clone();
        let mut leaves = Vec::new();
        collect(&mut changed, &mut leaves);
        prop_assume!(!leaves.is_empty());
        let at = at.index(leaves.len());
        *leaves.swap_remove(at) = json!("UPPER CASE");
        prop_assert!(!compare::stands(&value, &changed), "{} in {}", value, changed);
    }

    #[test]
    fn the_hash_tells_values_apart(one in json_value(), other in json_value()) {
        prop_assert_eq!(one == other, compare::hash(&one) == compare::hash(&other));
    }
}

/// Collects what is not a container, an absence, or a key that two items might share.
fn collect<'a>(value: &'a mut Value, leaves: &mut Vec<&'a mut Value>) {
    match value {
        Value::Object(map) => map.values_mut().for_each(|value| collect(value, leaves)),
        Value::Array(items) => items.iter_mut().for_each(|value| collect(value, leaves)),
        Value::Null => {}
        leaf => leaves.push(leaf),
    }
}
