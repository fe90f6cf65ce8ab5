//! Objects that are too large to be written down, or that differ by the namespaces of a run. Pure, but for the keys of
//! generated certificates.
//!
//! A map with one of these keys is replaced by what it describes:
//!
//! | Key | Value | Becomes |
//! |---|---|---|
//! | `$repeat` | `text`, `count` | the text, so many times |
//! | `$join` | texts, or lists | one text, or one list |
//! | `$lines` | `line`, `count` | a text of so many lines, `{i}` in each replaced by its number |
//! | `$list` | `item`, `count` | a list of so many items, likewise |
//! | `$map` | `key`, `value`, `count` | a map of so many entries, likewise |
//! | `$nest` | `levels`, `key` | maps inside each other, each below this key |
//! | `$base64` | a text | its encoding |
//! | `$bundle` | `names`, `excluded`, `twins` | `tls.crt`, `tls.key`, `ca.crt`; see [`super::bundle`] |

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::bundle::bundle;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    text: String,
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    line: String,
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    item: Value,
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    key: String,
    value: Value,
    count: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nest {
    levels: usize,
    #[serde(default = "x")]
    key: String,
}

fn x() -> String {
    "x".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    names: usize,
    excluded: usize,
    #[serde(default)]
    twins: usize,
}

/// The value with everything that it describes in full, and `replace` done to every text.
///
/// # Errors
/// When a description is unknown or incomplete.
pub(super) fn expand(value: &Value, replace: &dyn Fn(&str) -> String) -> anyhow::Result<Value> {
    Ok(match value {
        Value::String(text) => json!(replace(text)),
        Value::Array(items) => items
            .iter()
            .map(|item| expand(item, replace))
            .collect::<anyhow::Result<Value>>()?,
        Value::Object(map) => match map.iter().next() {
            Some((key, description)) if map.len() == 1 && key.starts_with('$') => {
                generated(key, &expand(description, replace)?)?
            }
            _ => {
                let entries = map
                    .iter()
                    .map(|(key, value)| Ok((replace(key), expand(value, replace)?)));
                Value::Object(entries.collect::<anyhow::Result<_>>()?)
            }
        },
        other => other.clone(),
    })
}

fn generated(key: &str, description: &Value) -> anyhow::Result<Value> {
    Ok(match key {
        "$repeat" => {
            let Repeat { text, count } = read(key, description)?;
            json!(text.repeat(count))
        }
        "$join" => {
            let parts: Vec<Value> = read(key, description)?;
            match parts.first() {
                Some(Value::Array(_)) => json!(read::<Vec<Vec<Value>>>(key, description)?.concat()),
                _ => json!(read::<Vec<String>>(key, description)?.concat()),
            }
        }
        "$lines" => {
            let Lines { line, count } = read(key, description)?;
            let lines = (0..count).map(|number| line.replace("{i}", &number.to_string()) + "\n");
            json!(lines.collect::<String>())
        }
        "$list" => {
            let List { item, count } = read(key, description)?;
            (0..count).map(|number| numbered(&item, "{i}", number)).collect()
        }
        "$map" => {
            let Entries { key, value, count } = read(key, description)?;
            let entries = (0..count).map(|number| {
                let key = key.replace("{i}", &number.to_string());
                (key, numbered(&value, "{i}", number))
            });
            Value::Object(entries.collect())
        }
        "$nest" => {
            let Nest { levels, key } = read(key, description)?;
            (0..levels).fold(json!({}), |inner, _| json!({ (key.as_str()): inner }))
        }
        "$base64" => json!(STANDARD.encode(description.as_str().context("$base64 takes a text")?)),
        "$bundle" => {
            let Bundle {
                names,
                excluded,
                twins,
            } = read(key, description)?;
            bundle(names, excluded, twins)?
        }
        other => bail!("{other} is unknown"),
    })
}

fn read<T: DeserializeOwned>(key: &str, description: &Value) -> anyhow::Result<T> {
    serde_json::from_value(description.clone()).with_context(|| format!("reading {key}"))
}

/// The value with a number in place of `word` in every text and key.
pub(super) fn numbered(value: &Value, word: &str, number: usize) -> Value {
    let number_text = number.to_string();
    match value {
        Value::String(text) => json!(text.replace(word, &number_text)),
        Value::Array(items) => items.iter().map(|item| numbered(item, word, number)).collect(),
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(key, value)| (key.replace(word, &number_text), numbered(value, word, number)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(value: &Value) -> Value {
        expand(value, &|text| text.replace("${tenant}", "t-1")).unwrap()
    }

    #[test]
    fn descriptions_become_what_they_describe() {
        assert_eq!(
            expanded(&json!({"$repeat": {"text": "ab", "count": 2}})),
            json!("abab")
        );
        assert_eq!(
            expanded(&json!({"$lines": {"line": "a{i}=1", "count": 2}})),
            json!("a0=1\na1=1\n")
        );
        assert_eq!(
            expanded(&json!({"$list": {"item": {"name": "n{i}"}, "count": 2}})),
            json!([{"name": "n0"}, {"name": "n1"}])
        );
        assert_eq!(
            expanded(&json!({"$map": {"key": "k{i}", "value": "v{i}", "count": 2}})),
            json!({"k0": "v0", "k1": "v1"})
        );
        assert_eq!(
            expanded(&json!({"$join": ["a", {"$repeat": {"text": "b", "count": 2}}]})),
            json!("abb")
        );
        assert_eq!(
            expanded(&json!({"$nest": {"levels": 2}})),
            json!({"x": {"x": {}}})
        );
        assert_eq!(expanded(&json!({"$base64": "QQ"})), json!("UVE="));
        assert!(expand(&json!({"$other": 1}), &str::to_owned).is_err());
    }

    #[test]
    fn every_text_is_replaced() {
        let value = json!({"a": ["${tenant}"], "b": {"c-${tenant}": 1, "d": true}});
        assert_eq!(
            expanded(&value),
            json!({"a": ["t-1"], "b": {"c-t-1": 1, "d": true}})
        );
    }
}
