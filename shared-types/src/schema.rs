//! Parts of schemas that the derive cannot express: embedded core types, lists that are merged by key, choices.

mod decodable;

use k8s_openapi::api::core::v1::Volume;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::limits;

pub(crate) use decodable::{OF_TYPES, TIME, close};

/// The schema of an embedded type of another API without its descriptions: `kubectl explain pod` has them, and a
/// definition must stay smaller than what an annotation and an etcd value can hold.
pub(crate) fn bare<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>().to_value();
    strip_descriptions(&mut schema);
    into_schema(schema)
}

/// A list that server-side apply merges by `key`, so that two writers can share it.
pub(crate) fn list_map(items: &Schema, key: &str) -> Schema {
    json_schema!({
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
    })
}

/// A list of embedded core objects, merged by name.
pub(crate) fn named<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    list_map(&bare::<T>(generator), "name")
}

/// Conditions, merged by type, with the limits of `metav1.Condition`. Fewer fields are required, because the operators
/// of KubeDB do not set all of them, and their objects must stay valid.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    let condition = json_schema!({
        "type": "object",
        "required": ["type", "status", "lastTransitionTime"],
        "properties": {
            "type": { "type": "string", "maxLength": 316, "description": "Type of the condition." },
            "status": {
                "type": "string",
                "enum": ["True", "False", "Unknown"],
                "description": "Status of the condition.",
            },
            "reason": {
                "type": "string",
                "maxLength": 1024,
                "description": "Machine-readable reason of the last transition.",
            },
            "message": {
                "type": "string",
                "maxLength": crate::conditions::LONGEST_MESSAGE,
                "description": "What is the case, and how to fix it.",
            },
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "description": "Generation of the spec that the condition describes.",
            },
            "lastTransitionTime": {
                "type": "string",
                "format": "date-time",
                "description": "When the status last changed.",
            },
            "severity": { "type": "string", "description": "Accepted for compatibility, never set." },
        },
    });
    list_map(&condition, "type")
}

/// Any JSON object, kept as it is by the API server. Read by [`Unread`](crate::object::Unread) only, since it may be deeper
/// than what can be decoded.
pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A list of any JSON objects, kept as they are.
pub(crate) fn free_forms(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": free_form(generator) })
}

/// An enum, described by the field that holds it rather than by its type.
pub(crate) fn word<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    schema.remove("description");
    schema
}

/// One of a few values, or empty.
pub(crate) fn one_of(values: &[&str]) -> Schema {
    let values = [values, &[""]].concat();
    json_schema!({ "type": "string", "enum": values })
}

/// Bytes, as base64, at most as many as a CA bundle may have.
pub(crate) fn bytes(_: &mut SchemaGenerator) -> Schema {
    let most = limits::CA_BUNDLE_BYTES.div_ceil(3).saturating_mul(4);
    json_schema!({ "type": "string", "format": "byte", "maxLength": most })
}

/// The properties of every volume source of a pod, which Kubernetes has only inlined in a volume.
pub(crate) fn volume_sources(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut volume = bare::<Volume>(generator).to_value();
    let Some(Value::Object(mut properties)) = volume.get_mut("properties").map(Value::take) else {
        return Map::new();
    };
    properties.remove("name");
    properties
}

/// Lists of core types that server-side apply merges by keys, as in the API of Kubernetes, by the name of the field.
const MERGED: [(&str, &[&str]); 9] = [
    ("claims", &["name"]),
    ("env", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("ports", &["containerPort", "protocol"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
];

/// Fields whose texts may be scripts or files.
const LONG: [&str; 6] = ["annotations", "args", "command", "inline", "applyConfig", "value"];

/// Gives every text, list and map without a limit a limit, so that no field of an object is larger than what the operators
/// are built for.
pub(crate) fn add_limits(schema: &mut Value) {
    limit(schema, limits::TEXT);
}

fn limit(schema: &mut Value, text: i64) {
    let Value::Object(map) = schema else { return };
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    let keyword = match kind {
        "string" if !map.contains_key("enum") => Some(("maxLength", text)),
        "array" => Some(("maxItems", limits::ITEMS)),
        "object" if map.contains_key("additionalProperties") => Some(("maxProperties", limits::ENTRIES)),
        _ => None,
    };
    if let Some((keyword, most)) = keyword {
        map.entry(keyword).or_insert(json!(most));
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties {
            let long = LONG.contains(&name.as_str());
            limit(property, if long { limits::LONG_TEXT } else { limits::TEXT });
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(inner) {
            limit(inner, text);
        }
    }
}

/// Gives every list a type: merged by keys as in the API of Kubernetes, or else replaced as a whole.
pub(crate) fn add_list_types(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties {
            if let Some((_, keys)) = MERGED.iter().find(|(field, _)| field == name) {
                merge_by(property, keys);
            }
            add_list_types(property);
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = map.get_mut(inner) {
            add_list_types(inner);
        }
    }
    if map.get("type").is_some_and(|kind| kind == "array") {
        map.entry("x-kubernetes-list-type")
            .or_insert_with(|| json!("atomic"));
    }
}

/// Does nothing to another list of the same field name, which lacks one of the keys.
fn merge_by(list: &mut Value, keys: &[&str]) {
    let Some(Value::Object(items)) = list.get_mut("items") else {
        return;
    };
    let Some(Value::Object(properties)) = items.get_mut("properties") else {
        return;
    };
    if !keys.iter().all(|key| properties.contains_key(*key)) {
        return;
    }
    // A key of a map list must be required or have a default. Kubernetes, too, defaults `protocol` to TCP.
    if let Some(protocol) = properties
        .get_mut("protocol")
        .filter(|_| keys.contains(&"protocol"))
    {
        protocol["default"] = json!("TCP");
    }
    let required = items.entry("required").or_insert_with(|| json!([]));
    if let Value::Array(required) = required {
        for key in keys.iter().filter(|key| **key != "protocol") {
            if !required.contains(&json!(key)) {
                required.push(json!(key));
            }
        }
    }
    list["x-kubernetes-list-type"] = json!("map");
    list["x-kubernetes-list-map-keys"] = json!(keys);
}

pub(crate) fn into_schema(value: Value) -> Schema {
    // A schema is an object or a boolean by construction; the fallback accepts anything.
    Schema::try_from(value).unwrap_or_default()
}

fn strip_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // A property may itself be called "description": only texts are descriptions.
            if map.get("description").is_some_and(Value::is_string) {
                map.remove("description");
            }
            // Of the metadata of a volume claim template, Kubernetes uses only labels and annotations.
            if let Some(Value::Object(template)) = map.get_mut("volumeClaimTemplate")
                && let Some(metadata) = template
                    .get_mut("properties")
                    .and_then(|it| it.get_mut("metadata"))
            {
                keep_labels_and_annotations(metadata);
            }
            map.values_mut().for_each(strip_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_descriptions),
        _ => {}
    }
}

fn keep_labels_and_annotations(metadata: &mut Value) {
    if let Some(Value::Object(properties)) = metadata.get_mut("properties") {
        properties.retain(|field, _| ["labels", "annotations"].contains(&field.as_str()));
    }
}
