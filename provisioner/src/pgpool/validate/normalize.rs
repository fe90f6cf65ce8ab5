//! Brings a user's pod into the form in which the API server stores it, so that a comparison with the stored object finds no
//! difference: values that mean the same as none are removed, and lists with duplicate keys, which cannot be applied, are
//! rejected.

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

/// Fields in which a zero means the default, which may be another number.
const NO_ZERO: [&str; 7] = [
    "hostPort",
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
    "partition",
];

/// Objects whose keys are the user's own: an empty text is a value there.
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

/// Fields in which an empty text is a value.
const EMPTY_IS_VALUE: [&str; 2] = ["storageClassName", "volumeAttributesClassName"];

/// Lists whose items the API server identifies by keys. It applies no list with two items of the same key.
const KEYED_LISTS: [(&str, &[&str]); 12] = [
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

/// Removes values that mean the same as none.
pub(super) fn remove_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| !is_empty(name, value));
            for (_, value) in fields
                .iter_mut()
                .filter(|(name, _)| !MAPS.contains(&name.as_str()))
            {
                remove_empty(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(remove_empty),
        _ => {}
    }
}

fn is_empty(field: &str, value: &Value) -> bool {
    match value {
        Value::Bool(false) => NO_FALSE.contains(&field),
        Value::Number(number) => number.as_i64() == Some(0) && NO_ZERO.contains(&field),
        Value::String(text) => text.is_empty() && !EMPTY_IS_VALUE.contains(&field),
        _ => false,
    }
}

/// Rejects lists with two items of the same key.
///
/// # Errors
/// The end of a sentence about `spec.podTemplate`.
pub(super) fn reject_duplicates(spec: &Value) -> Result<(), String> {
    check(spec, "spec")
}

fn check(value: &Value, path: &str) -> Result<(), String> {
    for (field, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{field}");
        let Some(items) = value.as_array() else {
            check(value, &path)?;
            continue;
        };
        let keys = KEYED_LISTS
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
            check(item, &format!("{path}[{}]", key.unwrap_or_default()))?;
        }
    }
    Ok(())
}

/// The default protocol is TCP.
fn key(item: &Map<String, Value>, keys: &[&str]) -> String {
    let part = |key: &&str| match item.get(*key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None if *key == "protocol" => "TCP".to_owned(),
        None => String::new(),
    };
    keys.iter().map(part).collect::<Vec<_>>().join("/")
}
