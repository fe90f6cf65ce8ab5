//! The fields of a schema, and how a value gets into an object.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value, json};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Item,
    Entry,
}

/// A part of a schema, without what is in it, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Field {
    steps: Vec<Step>,
    pub(super) schema: Value,
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match step {
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item => f.write_str("[]")?,
                Step::Entry => f.write_str("{}")?,
            }
        }
        Ok(())
    }
}

/// Every part of spec and status, at any depth.
pub(super) fn fields(schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        if let Some(inner) = schema["properties"].get(part) {
            collect(inner, vec![Step::Field(part.to_owned())], &mut found);
        }
    }
    found
}

fn collect(schema: &Value, steps: Vec<Step>, found: &mut Vec<Field>) {
    let inner = |step| {
        let mut steps = steps.clone();
        steps.push(step);
        steps
    };
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for (name, property) in properties {
            collect(property, inner(Step::Field(name.clone())), found);
        }
    }
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        collect(items, inner(Step::Item), found);
    }
    if let Some(values) = schema
        .get("additionalProperties")
        .filter(|values| values.is_object())
    {
        collect(values, inner(Step::Entry), found);
    }
    let keywords = ["type", "pattern", "enum", "x-kubernetes-int-or-string"];
    let own = keywords
        .into_iter()
        .filter_map(|keyword| Some((keyword.to_owned(), schema.get(keyword)?.clone())));
    let schema = Value::Object(own.collect());
    found.push(Field { steps, schema });
}

impl Field {
    pub(super) fn is_in_status(&self) -> bool {
        self.steps.first() == Some(&Step::Field("status".to_owned()))
    }

    /// Sets a value, and makes what is missing on the way as small as the schema allows.
    pub(super) fn set(&self, schema: &Value, object: &mut Value, value: Value) {
        let (mut schema, mut place) = (schema, object);
        for step in &self.steps {
            match step {
                Step::Field(name) => {
                    schema = &schema["properties"][name];
                    if !place.is_object() {
                        *place = json!({});
                    }
                    if place[name].is_null() {
                        place[name] = smallest(schema);
                    }
                    place = &mut place[name];
                }
                Step::Item => {
                    schema = &schema["items"];
                    if place.as_array().is_none_or(Vec::is_empty) {
                        *place = json!([smallest(schema)]);
                    }
                    place = &mut place[0];
                }
                Step::Entry => {
                    schema = &schema["additionalProperties"];
                    if !place.is_object() {
                        *place = json!({});
                    }
                    if place["key"].is_null() {
                        place["key"] = smallest(schema);
                    }
                    place = &mut place["key"];
                }
            }
        }
        *place = value;
    }
}

/// A value that fits the schema, if its rules do not need more.
fn smallest(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match (schema["type"].as_str(), schema["pattern"].as_str()) {
        (Some("object"), _) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let required = required.filter_map(Value::as_str);
            let fields = required.map(|name| (name.to_owned(), smallest(&schema["properties"][name])));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        (Some("array"), _) => json!([]),
        (Some("boolean"), _) => json!(true),
        (Some("integer" | "number"), _) => schema
            .get("minimum")
            .filter(|least| least.as_f64() > Some(0.0))
            .cloned()
            .unwrap_or(json!(0)),
        (Some("string"), Some(pattern)) if pattern.contains("[Tt]") => json!("2026-01-01T00:00:00Z"),
        (Some("string"), Some(pattern)) if pattern.contains("[AQgw]==") => json!("QQ=="),
        (Some("string"), _) => json!("x"),
        _ => json!(1),
    }
}
