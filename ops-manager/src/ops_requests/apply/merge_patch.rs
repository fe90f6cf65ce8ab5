//! What has to be sent so that one object becomes another: a merge patch (RFC 7396). Pure.

use serde_json::{Map, Value};

/// Returns the patch that turns `before` into `after`, and nothing when they are equal. Lists are replaced whole.
pub(crate) fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        let change = match old.get(key) {
            Some(old) => difference(old, value),
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_sent() {
        let cases = [
            (json!({"a": 1}), json!({"a": 1}), None),
            (
                json!({"a": 1}),
                json!({"a": 2, "b": 3}),
                Some(json!({"a": 2, "b": 3})),
            ),
            (json!({"a": 1, "b": 2}), json!({"a": 1}), Some(json!({"b": null}))),
            (
                json!({"a": {"x": 1, "y": 2}, "b": 1}),
                json!({"a": {"x": 1, "z": 3}, "b": 1}),
                Some(json!({"a": {"y": null, "z": 3}})),
            ),
            (json!({"l": [1, 2]}), json!({"l": [1]}), Some(json!({"l": [1]}))),
            (json!({"a": {"x": 1}}), json!({"a": 5}), Some(json!({"a": 5}))),
        ];
        for (before, after, expected) in cases {
            assert_eq!(difference(&before, &after), expected, "{before} to {after}");
        }
    }
}
