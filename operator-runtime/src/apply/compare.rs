//! Does a live object have every desired field? Pure, over JSON.
//!
//! A live object has more than was applied: defaults, and fields and list items of other managers. So every
//! field of the desired object is compared with the live one, and no other. A field that is no longer desired
//! changes the hash of the desired object.
//!
//! `DeepMerge` of k8s-openapi is no substitute: it compares quantities as text, takes a port with the default
//! protocol for another item, and is not implemented for custom resources.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::quantity;

/// The keys that identify an item of a list with several managers, most specific first. A volume mount has a
/// name too, but only its path is unique.
const MERGE_KEYS: [&[&str]; 8] = [
    &["mountPath"],
    &["devicePath"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["topologyKey", "whenUnsatisfiable"],
    &["uid"],
    &["ip"],
    &["name"],
];

/// Fields whose values are quantities, directly or one level down.
const QUANTITIES: [&str; 6] = [
    "requests",
    "limits",
    "overhead",
    "sizeLimit",
    "divisor",
    "storage",
];

/// Returns a hash of a desired object, for its annotation.
pub(super) fn hash(desired: &Value) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(desired.to_string().as_bytes());
    digest
        .iter()
        .take(16)
        .fold(String::with_capacity(32), |mut text, byte| {
            // Writing into a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Returns whether `live` has every field of `desired`.
pub(crate) fn contains(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        // The items of a list do not repeat their kind.
        (Value::Object(desired), Value::Object(live)) => desired
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind"))
            .all(|(name, desired)| within(desired, live.get(name), false)),
        (desired, live) => within(desired, Some(live), false),
    }
}

fn within(desired: &Value, live: Option<&Value>, quantity: bool) -> bool {
    if is_empty(desired) && live.is_none_or(is_empty) {
        // The API server drops what is empty.
        return true;
    }
    let Some(live) = live else { return false };
    match (desired, live) {
        (Value::Object(desired), Value::Object(live)) => desired.iter().all(|(name, desired)| {
            let quantity = quantity || QUANTITIES.contains(&name.as_str());
            within(desired, live.get(name), quantity)
        }),
        (Value::Array(desired), Value::Array(live)) => list_within(desired, live),
        (Value::String(desired), Value::String(live)) if quantity => quantity::same(desired, live),
        (Value::Number(desired), Value::Number(live)) => desired == live || desired.as_f64() == live.as_f64(),
        (desired, live) => desired == live,
    }
}

fn list_within(desired: &[Value], live: &[Value]) -> bool {
    match merge_key(desired) {
        Some(key) => {
            let mut by_key: HashMap<Vec<Option<&Value>>, &Value> = HashMap::new();
            for item in live {
                if let Some(map) = item.as_object() {
                    by_key.entry(parts(map, key)).or_insert(item);
                }
            }
            let counterpart = |item: &Value| by_key.get(&parts(item.as_object()?, key)).copied();
            desired
                .iter()
                .all(|item| counterpart(item).is_some_and(|live| within(item, Some(live), false)))
        }
        // A list without a key is replaced as a whole: order and length matter.
        None => {
            desired.len() == live.len()
                && desired
                    .iter()
                    .zip(live)
                    .all(|(desired, live)| within(desired, Some(live), false))
        }
    }
}

/// Returns the key that distinguishes the items, if there is one.
fn merge_key(items: &[Value]) -> Option<&'static [&'static str]> {
    let maps: Vec<&Map<String, Value>> = items.iter().map(Value::as_object).collect::<Option<_>>()?;
    if maps.is_empty() {
        return None;
    }
    MERGE_KEYS.into_iter().find(|key| {
        let Some(first) = key.first() else { return false };
        // A map or a list identifies nothing: the API server may add to it.
        let identifies =
            |map: &&Map<String, Value>| map.get(*first).is_some_and(|it| it.is_string() || it.is_number());
        let mut seen = HashSet::new();
        maps.iter().all(identifies) && maps.iter().all(|map| seen.insert(parts(map, key)))
    })
}

/// The values of a key.
fn parts<'a>(map: &'a Map<String, Value>, key: &[&str]) -> Vec<Option<&'a Value>> {
    key.iter().map(|name| part(map, name)).collect()
}

/// The default protocol is TCP.
fn part<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name)
        .filter(|value| name != "protocol" || value.as_str() != Some("TCP"))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        Value::String(_) | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Removes nulls: a typed object writes them for absent fields.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Moves the `stringData` of a Secret to `data`, where the API server keeps it.
pub(super) fn encode_string_data(object: &mut Value) {
    if object["kind"] != "Secret" {
        return;
    }
    let Some(Value::Object(plain)) = object.as_object_mut().and_then(|map| map.remove("stringData")) else {
        return;
    };
    let Some(object) = object.as_object_mut() else {
        return;
    };
    let data = object.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Some(data) = data.as_object_mut() else { return };
    for (key, value) in plain {
        if let Some(text) = value.as_str() {
            data.insert(key, STANDARD.encode(text).into());
        }
    }
}

#[cfg(test)]
mod tests;
