//! Comparison as tables and properties.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{contains, drop_nulls, encode_string_data, hash};

type Case = (&'static str, Value, Value, bool);

fn check(cases: impl IntoIterator<Item = Case>) {
    for (what, desired, live, expected) in cases {
        assert_eq!(contains(&desired, &live), expected, "{what}");
    }
}

/// A pod with one container.
fn container(extra: &Value) -> Value {
    let mut container = json!({ "name": "c", "image": "i" });
    for (key, value) in extra.as_object().unwrap() {
        container[key] = value.clone();
    }
    json!({ "spec": { "containers": [container] } })
}

#[test]
fn fields() {
    check([
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
    ]);
}

#[test]
fn quantities() {
    check([
        (
            "quantities by value",
            container(&json!({ "resources": { "requests": { "cpu": "1000m", "memory": "1024Mi" } } })),
            container(&json!({ "resources": { "requests": { "cpu": "1", "memory": "1Gi" } } })),
            true,
        ),
        (
            "what a pod costs beside its containers",
            json!({ "spec": { "overhead": { "cpu": "1000m" } } }),
            json!({ "spec": { "overhead": { "cpu": "1" } } }),
            true,
        ),
        (
            "other text by text",
            container(&json!({ "image": "1" })),
            container(&json!({ "image": "1000m" })),
            false,
        ),
        (
            "a size limit",
            json!({ "volumes": [{ "name": "v", "emptyDir": { "sizeLimit": "1Ki" } }] }),
            json!({ "volumes": [{ "name": "v", "emptyDir": { "sizeLimit": "1024" } }] }),
            true,
        ),
    ]);
}

#[test]
fn lists_that_several_share() {
    check([
        (
            "an injected container",
            container(&json!({})),
            json!({ "spec": { "containers": [{ "name": "mesh" }, { "name": "c", "image": "i", "x": 1 }] } }),
            true,
        ),
        (
            "two mounts of one volume",
            container(&json!({ "volumeMounts": [
                { "name": "v", "mountPath": "/a" }, { "name": "v", "mountPath": "/b" } ] })),
            container(&json!({ "volumeMounts": [
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
            container(&json!({ "env": [{ "name": "A", "value": "1" }] })),
            container(&json!({ "env": [{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }] })),
            true,
        ),
        (
            "env with another value",
            container(&json!({ "env": [{ "name": "A", "value": "1" }] })),
            container(&json!({ "env": [{ "name": "A", "value": "2" }] })),
            false,
        ),
        (
            "owners by uid",
            json!({ "ownerReferences": [{ "uid": "1", "name": "a" }] }),
            json!({ "ownerReferences": [{ "uid": "0", "name": "z" }, { "uid": "1", "name": "a" }] }),
            true,
        ),
    ]);
}

#[test]
fn lists_of_one_owner() {
    check([
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
    ]);
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

#[test]
fn a_map_does_not_identify_an_item() {
    let value = json!([{"name": {}}]);
    assert!(contains(&value, &with_defaults(&value)));
}

proptest! {
    #[test]
    fn everything_stands_in_itself_with_and_without_defaults(value in json_value()) {
        prop_assert!(contains(&value, &value));
        prop_assert!(contains(&value, &with_defaults(&value)), "{}", value);
    }

    #[test]
    fn nothing_panics(desired in json_value(), live in json_value()) {
        contains(&desired, &live);
        let mut pruned = desired.clone();
        drop_nulls(&mut pruned);
        encode_string_data(&mut pruned);
    }

    #[test]
    fn another_leaf_never_stands(value in json_value(), at in any::<prop::sample::Index>()) {
        let mut changed = value.clone();
        let mut leaves = Vec::new();
        collect(&mut changed, &mut leaves);
        prop_assume!(!leaves.is_empty());
        let at = at.index(leaves.len());
        *leaves.swap_remove(at) = json!("UPPER CASE");
        prop_assert!(!contains(&value, &changed), "{} in {}", value, changed);
    }

    #[test]
    fn the_hash_tells_values_apart(one in json_value(), other in json_value()) {
        prop_assert_eq!(one == other, hash(&one) == hash(&other));
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
