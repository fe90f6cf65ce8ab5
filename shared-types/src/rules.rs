//! Validation rules of the definitions: what the API server can decide from one object.
//!
//! A rule is defined on the type or field it validates, as `#[x_kube(validation = …)]`. Rules of embedded core types
//! cannot be defined there: [`pods`] adds them to the schema. Each rule is a CEL expression with the message that users
//! read. The API server puts the path of the field in front of it. Where a keyword of the schema is enough (`enum`,
//! `minimum`, `required`), there is no rule. Lists and texts that a rule reads have an upper bound, because the API
//! server rejects definitions whose rules could cost too much.
//!
//! What depends on other objects becomes a condition. What depends on the operation, such as a deletion, is a policy:
//! see [`crate::policies`].

pub(crate) mod pods;

use kube::core::{Message, Rule as CelRule};
use schemars::Schema;
use serde_json::{Map, Value, json};

/// A rule with its message, for `#[x_kube(validation = …)]`.
pub(crate) fn rule(expression: impl Into<String>, message: impl Into<String>) -> CelRule {
    CelRule {
        message: Some(Message::Message(message.into())),
        ..CelRule::new(expression)
    }
}

/// Whether a text is the name of an object: a DNS subdomain in lower case.
pub(crate) fn is_object_name(text: &str) -> String {
    const PART: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
    format!("{text}.matches(r'^{PART}([.]{PART})*$')")
}

/// A text that is the name of an object.
pub(crate) fn object_name() -> CelRule {
    rule(
        is_object_name("self"),
        "must be the name of an object: use only a-z, 0-9, - and ., and begin and end each part with a letter or digit",
    )
}

/// A text that is the name of an object, or empty.
pub(crate) fn optional_name() -> CelRule {
    let CelRule { rule, .. } = object_name();
    CelRule {
        rule: format!("self == '' || {rule}"),
        ..object_name()
    }
}

/// The items of a CEL list of texts.
pub(crate) fn quoted(texts: &[&str]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| format!("'{text}'")).collect();
    texts.join(", ")
}

/// Adds a rule to a part of a schema.
pub(crate) fn add(schema: &mut Schema, path: &str, rule: &CelRule) {
    let rules = part(schema, path)
        .entry("x-kubernetes-validations")
        .or_insert_with(|| json!([]));
    if let Value::Array(rules) = rules {
        rules.push(json!(rule));
    }
}

/// Sets a limit, such as `maxItems`, in a part of a schema.
pub(crate) fn limit(schema: &mut Schema, path: &str, keyword: &str, value: i64) {
    part(schema, path).insert(keyword.to_owned(), json!(value));
}

/// The part of a schema at a path: fields separated by dots, `[]` for the items of a list, `{}` for the values of a map.
#[allow(
    clippy::panic,
    reason = "the paths are constants of this crate, and every test that makes a schema finds a wrong one"
)]
fn part<'a>(schema: &'a mut Schema, path: &str) -> &'a mut Map<String, Value> {
    let path_of_steps = path.replace("[]", ".[]").replace("{}", ".{}");
    let steps = path_of_steps.split('.').filter(|step| !step.is_empty());
    let pointer: String = steps
        .map(|step| match step {
            "[]" => "/items".to_owned(),
            "{}" => "/additionalProperties".to_owned(),
            field => format!("/properties/{field}"),
        })
        .collect();
    let found = schema.pointer_mut(&pointer).and_then(Value::as_object_mut);
    found.unwrap_or_else(|| panic!("the schema has no {path}"))
}

/// A rule as it appears in the schema of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Path of the schema that has the rule, such as `spec.tls.certificates[]`; empty for the whole object.
    pub at: String,
    /// The CEL expression.
    pub expression: String,
    /// What users read, after the path of the field.
    pub message: String,
    /// The field that the API server names, relative to the path, such as `.sslMode`.
    pub field: Option<String>,
}

/// A limit as it appears in the schema of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Path of the schema that has the limit, as in [`Rule::at`].
    pub at: String,
    /// The keyword, such as `maxItems`.
    pub keyword: &'static str,
    /// The value of the keyword.
    pub value: i64,
}

/// Every rule in the schema of a kind.
#[must_use]
pub fn rules_in(schema: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    visit(schema, "", &mut |at, schema| {
        let entries = schema.get("x-kubernetes-validations").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            rules.push(Rule {
                at: at.to_owned(),
                expression: text("rule").unwrap_or_default(),
                message: text("message").unwrap_or_default(),
                field: text("fieldPath"),
            });
        }
    });
    rules
}

/// Returns whether a limit is only that of the type of a number, as every number has one. No user needs to know it.
#[must_use]
pub fn is_limit_of_type(value: f64) -> bool {
    crate::schema::OF_TYPES.contains(&value)
}

/// Returns whether a schema is that of a time.
#[must_use]
pub fn is_time(schema: &Value) -> bool {
    schema
        .get("pattern")
        .is_some_and(|pattern| pattern == crate::schema::TIME)
}

/// Every limit in the schema of a kind that one of the keywords sets, without those of the types of numbers.
#[must_use]
pub fn bounds_in(schema: &Value, keywords: &[&'static str]) -> Vec<Bound> {
    let mut bounds = Vec::new();
    visit(schema, "", &mut |at, schema| {
        for keyword in keywords {
            // The type of a definition has numbers as fractions.
            #[allow(clippy::cast_possible_truncation, reason = "limits are small and whole")]
            let value = schema
                .get(*keyword)
                .and_then(Value::as_f64)
                .filter(|value| !is_limit_of_type(*value))
                .map(|value| value as i64);
            bounds.extend(value.map(|value| Bound {
                at: at.to_owned(),
                keyword,
                value,
            }));
        }
    });
    bounds
}

/// Calls `see` with every schema in this one, and its path.
pub fn visit<'a>(schema: &'a Value, at: &str, see: &mut impl FnMut(&str, &'a Map<String, Value>)) {
    let Value::Object(map) = schema else { return };
    see(at, map);
    if let Some(Value::Object(properties)) = map.get("properties") {
        for (name, property) in properties {
            let dot = if at.is_empty() { "" } else { "." };
            visit(property, &format!("{at}{dot}{name}"), see);
        }
    }
    for (key, step) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = map.get(key) {
            visit(inner, &format!("{at}{step}"), see);
        }
    }
}

#[cfg(test)]
mod tests;
