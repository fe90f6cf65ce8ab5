//! Every field of `spec.podTemplate` and of `spec.serviceTemplates` arrives where it belongs.
//!
//! The schema of the CRD is walked to its last field. Each is asked for alone, with what it needs to be valid, and must
//! stand in the object that the real steps build; so a field that is added to the schema and not carried over fails
//! here. Those that arrive otherwise, or not at all, are listed with the reason, and must still be exceptions.

use kube::CustomResourceExt;
use serde_json::{Map, Value, json};
use shared_types::Pgpool;

use super::support::{self, World};

/// Where the pod and its workload come from.
const POD: &str = "/properties/podTemplate/properties/spec";

/// Fields of a pod that do not arrive as they stand: what a workload's template cannot hold.
const OTHERWISE: [(&str, &str); 5] = [
    ("activeDeadlineSeconds", "pods of a workload run for ever"),
    ("restartPolicy", "a StatefulSet supports only `Always`"),
    (
        "ephemeralContainers",
        "no part of a template: they are added to running pods",
    ),
    (
        "podPlacementPolicy",
        "an object that KubeDB's own workload knows; pods spread by default",
    ),
    (
        "serviceAccount",
        "the old name of `serviceAccountName`, which is written",
    ),
];

/// Fields of an init container that do not arrive.
const OTHERWISE_BEFORE: [(&str, &str); 1] = [("resizePolicy", "it ends before anything could be resized")];

/// The schema of `spec`.
fn schema() -> Value {
    let crd = serde_json::to_value(Pgpool::crd()).unwrap();
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .unwrap()
        .clone()
}

/// The names of the fields at a place of the schema, sorted.
pub(crate) fn names_of(place: &str) -> Vec<String> {
    let schema = schema();
    let fields = schema
        .pointer(&format!("{place}/properties"))
        .and_then(Value::as_object);
    let mut names: Vec<_> = fields.expect("a place with fields").keys().cloned().collect();
    names.sort();
    names
}

/// A value that no default has.
fn sample(schema: &Value) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return "7".into();
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => true.into(),
        Some("integer" | "number") => 7.into(),
        Some("array") => json!([sample(&schema["items"])]),
        Some("object") if schema["additionalProperties"].is_object() => {
            json!({ "sample": sample(&schema["additionalProperties"]) })
        }
        Some("object") => Value::Object(required(schema)),
        _ if shared_types::rules::is_time(schema) => "2026-01-01T00:00:00Z".into(),
        _ => "sample".into(),
    }
}

fn required(schema: &Value) -> Map<String, Value> {
    let names = schema["required"].as_array().into_iter().flatten();
    names
        .filter_map(Value::as_str)
        .map(|name| (name.to_owned(), sample(&schema["properties"][name])))
        .collect()
}

/// Every field below `schema`: its path, and the smallest valid value with it.
fn fields(schema: &Value, path: &str) -> Vec<(String, Value)> {
    if schema["type"] == "array" {
        let items = fields(&schema["items"], &format!("{path}[]"));
        return items
            .into_iter()
            .map(|(path, item)| (path, json!([item])))
            .collect();
    }
    let properties = schema["properties"]
        .as_object()
        .filter(|properties| !properties.is_empty());
    let Some(properties) = properties else {
        return vec![(path.to_owned(), sample(schema))];
    };
    let below = |(name, property): (&String, &Value)| {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let with_rest = |(path, value): (String, Value)| {
            let mut whole = required(schema);
            whole.insert(name.clone(), value);
            (path, Value::Object(whole))
        };
        fields(property, &path)
            .into_iter()
            .map(with_rest)
            .collect::<Vec<_>>()
    };
    properties.iter().flat_map(below).collect()
}

/// Whether everything that was asked for stands in what was made: each item of a list in some item.
fn holds(made: &Value, asked: &Value) -> bool {
    match (made, asked) {
        (Value::Object(made), Value::Object(asked)) => asked
            .iter()
            .all(|(key, asked)| made.get(key).is_some_and(|made| holds(made, asked))),
        (Value::Array(made), Value::Array(asked)) => asked
            .iter()
            .all(|asked| made.iter().any(|made| holds(made, asked))),
        (made, asked) => made == asked,
    }
}

/// `over` laid over `base`.
fn over(base: Value, over: &Value) -> Value {
    let (Value::Object(mut base), Value::Object(over)) = (base, over) else {
        panic!("no objects");
    };
    base.extend(over.clone());
    Value::Object(base)
}

fn pod_of(template: &Value) -> Value {
    let world = World::plain().overlaid(json!({ "podTemplate": { "spec": template } }));
    let workload = serde_json::to_value(support::stateful_set(&world.valid(), None)).unwrap();
    workload["spec"]["template"]["spec"].clone()
}

/// Asks for each field in turn. `dress` makes a pod of the value of a field.
fn each_arrives(schema: &Value, otherwise: &[(&str, &str)], dress: impl Fn(&Value) -> Value) {
    let all = fields(schema, "");
    assert!(all.len() > 100, "the schema is not read: {}", all.len());
    for (path, value) in all {
        let asked = dress(&value);
        let arrived = holds(&pod_of(&asked), &asked);
        let top = path.split(['.', '[']).next().unwrap();
        let exception = otherwise.iter().find(|(field, _)| *field == top);
        match exception {
            None => assert!(arrived, "{path} does not arrive: {asked}"),
            Some((_, why)) => assert!(!arrived, "{path} arrives, although {why}"),
        }
    }
}

fn container_schema(schema: &Value, without: &[&str]) -> Value {
    let mut container = schema
        .pointer(&format!("{POD}/properties/containers/items"))
        .unwrap()
        .clone();
    let properties = container["properties"].as_object_mut().unwrap();
    properties.retain(|name, _| !without.contains(&name.as_str()));
    container["required"] = json!([]);
    container
}

#[test]
fn every_field_of_a_pod_arrives() {
    let mut pod = schema().pointer(POD).unwrap().clone();
    let properties = pod["properties"].as_object_mut().unwrap();
    properties.retain(|name, _| !["containers", "initContainers"].contains(&name.as_str()));
    each_arrives(&pod, &OTHERWISE, Value::clone);
}

#[test]
fn every_field_of_a_sidecar_arrives() {
    let container = container_schema(&schema(), &[]);
    each_arrives(
        &container,
        &[],
        |value| json!({ "containers": [over(json!({ "name": "side", "image": "i" }), value)] }),
    );
}

#[test]
fn every_field_of_an_init_container_arrives() {
    let container = container_schema(&schema(), &[]);
    each_arrives(
        &container,
        &OTHERWISE_BEFORE,
        |value| json!({ "initContainers": [over(json!({ "name": "early", "image": "i" }), value)] }),
    );
    let sidecar = json!({ "initContainers": [{
        "name": "early", "image": "i", "restartPolicy": "Always",
        "resizePolicy": [{ "resourceName": "cpu", "restartPolicy": "NotRequired" }],
    }] });
    assert!(
        holds(&pod_of(&sidecar), &sidecar),
        "one that goes on running can be resized"
    );
}

#[test]
fn every_field_of_container_pgpool_arrives() {
    let fixed = [&["name"][..], &shared_types::reserved::CONTAINER_FIELDS].concat();
    let container = container_schema(&schema(), &fixed);
    each_arrives(
        &container,
        &[],
        |value| json!({ "containers": [over(json!({ "name": "pgpool" }), value)] }),
    );
}

#[test]
fn labels_and_annotations_arrive() {
    let metadata = |tag: &str| json!({ "labels": { tag: "l" }, "annotations": { tag: "a" } });
    let world = World::plain().overlaid(json!({
        "podTemplate": { "metadata": metadata("pod"), "controller": metadata("workload") },
        "serviceTemplates": [{ "alias": "primary", "metadata": metadata("service") }],
    }));
    let workload = serde_json::to_value(support::stateful_set(&world.valid(), None)).unwrap();
    let service = serde_json::to_value(support::foundation(&world.valid()).primary_service).unwrap();
    let places = [
        (&workload["spec"]["template"]["metadata"], "pod"),
        (&workload["metadata"], "workload"),
        (&service["metadata"], "service"),
    ];
    for (place, tag) in places {
        assert!(holds(place, &metadata(tag)), "{tag}: {place}");
        for (_, other) in places.iter().filter(|(_, other)| *other != tag) {
            assert!(place["labels"][*other].is_null(), "{other} is at {tag}");
        }
    }
    let template = schema()
        .pointer("/properties/podTemplate/properties")
        .unwrap()
        .clone();
    let known: Vec<_> = template.as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, ["controller", "metadata", "spec"], "a field without a row");
}

#[test]
fn every_field_of_a_service_arrives() {
    let template = schema()
        .pointer("/properties/serviceTemplates/items")
        .unwrap()
        .clone();
    let known: Vec<_> = template["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(known, ["alias", "metadata", "spec"], "a field without a row");
    for (path, asked) in fields(&template["properties"]["spec"], "") {
        let mut asked = asked;
        if let Some(port) = asked.pointer_mut("/ports/0") {
            port["name"] = "primary".into();
        }
        let world =
            World::plain().overlaid(json!({ "serviceTemplates": [{ "alias": "primary", "spec": asked }] }));
        let made = serde_json::to_value(support::foundation(&world.valid()).primary_service).unwrap();
        assert!(holds(&made["spec"], &asked), "{path} does not arrive: {made:#}");
    }
}
