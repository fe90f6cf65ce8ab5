//! Schema pieces that a derive cannot express: embedded core types without their descriptions, and
//! lists merged by key.

use k8s_openapi::api::core::v1::Volume;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The schema of an embedded type of another API without its descriptions: `kubectl explain pod`
/// has them, and a CRD must stay below the size an annotation and an etcd value can hold.
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

/// A list of embedded core objects, merged by their name.
pub(crate) fn named<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    list_map(&bare::<T>(generator), "name")
}

/// Conditions by type. Not more is required than KubeDB's operators write, so that an object they
/// left behind can be taken over.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    let condition = json_schema!({
        "type": "object",
        "required": ["type", "status", "lastTransitionTime"],
        "properties": {
            "type": { "type": "string", "description": "What the condition is about, in one word." },
            "status": { "type": "string", "description": "Whether it holds: `True`, `False` or `Unknown`." },
            "reason": { "type": "string", "description": "Why it is so, in one word." },
            "message": { "type": "string", "description": "Why it is so, and what helps." },
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "description": "The generation of the spec that this condition is about.",
            },
            "lastTransitionTime": {
                "type": "string",
                "format": "date-time",
                "description": "Since when the status is as it is.",
            },
            "severity": { "type": "string", "description": "Accepted for compatibility, never set." },
        },
    });
    list_map(&condition, "type")
}

/// Any JSON object, kept as it is.
pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A list of any JSON objects, kept as they are.
pub(crate) fn free_forms(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": free_form(generator) })
}

/// A word of an enum, described by the field that holds it rather than by its type.
pub(crate) fn word<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    schema.remove("description");
    schema
}

/// Bytes, as base64.
pub(crate) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "byte" })
}

/// The properties of every volume source of a pod, which Kubernetes has only inlined in a volume.
pub(crate) fn volume_sources(generator: &mut SchemaGenerator) -> serde_json::Map<String, Value> {
    let mut volume = bare::<Volume>(generator).to_value();
    let Some(Value::Object(mut properties)) = volume.get_mut("properties").map(Value::take) else {
        return serde_json::Map::new();
    };
    properties.remove("name");
    properties
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
            map.values_mut().for_each(strip_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_descriptions),
        _ => {}
    }
}
