//! A user's pod as the API server would store it, so that what was applied stands as it was applied: what says the
//! same as nothing is taken out, and what could not be applied for standing there twice is refused.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Fields in which the API server drops a `false`. Others differ when absent, as `automountServiceAccountToken` does.
const NO_FALSE: [&str; 9] = [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "readOnly",
    "chapAuthDiscovery",
    "chapAuthSession",
];

/// Fields in which a zero asks for the default, which may be another number.
const NO_ZERO: [&str; 7] = [
    "hostPort",
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
    "partition",
];

/// Objects whose keys are the user's own: an empty text stands there for itself.
const MAPS: [&str; 9] = [
    "nodeSelector",
    "labels",
    "annotations",
    "matchLabels",
    "limits",
    "requests",
    "overhead",
    "volumeAttributes",
    "options",
];

/// Fields in which an empty text is a choice.
const EMPTY_COUNTS: [&str; 2] = ["storageClassName", "volumeAttributesClassName"];

/// Lists whose items the API server tells apart, and by what. It applies no list in which two are the same.
const LISTS: [(&str, &[&str]); 12] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("ports", &["containerPort", "protocol"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("claims", &["name"]),
];

/// Takes out what says the same as nothing.
pub(super) fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| !says_nothing(name, value));
            for (_, value) in fields
                .iter_mut()
                .filter(|(name, _)| !MAPS.contains(&name.as_str()))
            {
                forget(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

fn says_nothing(field: &str, value: &Value) -> bool {
    match value {
        Value::Bool(false) => NO_FALSE.contains(&field),
        Value::Number(number) => number.as_i64() == Some(0) && NO_ZERO.contains(&field),
        Value::String(text) => text.is_empty() && !EMPTY_COUNTS.contains(&field),
        _ => false,
    }
}

/// Refuses a list with two items of one key.
///
/// # Errors
/// The end of a sentence about `spec.podTemplate`.
pub(super) fn all_different(spec: &Value) -> Result<(), String> {
    look(spec, "spec")
}

fn look(value: &Value, path: &str) -> Result<(), String> {
    for (field, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{field}");
        let Some(items) = value.as_array() else {
            look(value, &path)?;
            continue;
        };
        let keys = LISTS
            .iter()
            .find(|(list, _)| list == field)
            .map(|(_, keys)| *keys);
        let mut seen = BTreeSet::new();
        for item in items {
            let key = keys.zip(item.as_object()).map(|(keys, item)| key(item, keys));
            if let Some(key) = &key
                && !seen.insert(key.clone())
            {
                return Err(format!("has `{key}` twice in `{path}`: remove one"));
            }
            look(item, &format!("{path}[{}]", key.unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// A protocol that is not named is TCP.
fn key(item: &Map<String, Value>, keys: &[&str]) -> String {
    let part = |key: &&str| match item.get(*key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None if *key == "protocol" => "TCP".to_owned(),
        None => String::new(),
    };
    keys.iter().map(part).collect::<Vec<_>>().join("/")
}
