//! The rules that the API server keeps without any help of the operators: what is decidable within one object.
//!
//! Each kind has its list, and [`install`] writes it into the schema. A rule is an expression of CEL with the sentence
//! that a user reads when it does not hold: the field, and the cure. Where a schema keyword says enough (`minimum`,
//! `required`), there is no rule. Lists and texts that a rule reads have an upper bound, since the API server counts
//! what a rule could cost at most and refuses a definition that could cost too much.
//!
//! What depends on other objects is no rule: it becomes a condition. What depends on more than the new object, such as
//! a deletion, is a policy: see [`crate::policies`].

mod catalog;
mod ops_request;
mod paths;
mod pgpool;
mod pod_template;
mod service_templates;
mod tls;
mod words;

use serde_json::{Map, Value, json};

/// A rule of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands: a path such as `spec.tls.certificates[]`; empty for the whole object.
    pub at: String,
    /// What must hold, in CEL.
    pub expression: String,
    /// What a user reads when it does not.
    pub message: String,
    /// The message with what only the value can tell, in CEL; it contains the message.
    pub message_expression: Option<String>,
    /// The field to blame, below the place, such as `.sslMode`.
    pub field: Option<String>,
}

/// An upper or lower limit that a keyword of the schema sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Where it stands, as in [`Rule::at`].
    pub at: String,
    /// The keyword, such as `maxItems`.
    pub keyword: &'static str,
    /// The limit.
    pub value: i64,
}

/// A field that takes one of a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    at: String,
    /// The words; none where the schema has them already.
    values: &'static [&'static str],
}

/// Everything about one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    list: Vec<Rule>,
    bounds: Vec<Bound>,
    words: Vec<Words>,
}

impl Rules {
    /// Adds a rule.
    fn rule(&mut self, at: &str, expression: impl Into<String>, message: impl Into<String>) -> &mut Rule {
        self.list.push(Rule {
            at: at.to_owned(),
            expression: expression.into(),
            message: message.into(),
            message_expression: None,
            field: None,
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }

    fn bound(&mut self, at: &str, keyword: &'static str, value: i64) {
        self.bounds.push(Bound {
            at: at.to_owned(),
            keyword,
            value,
        });
    }

    /// Words that the type of the field lists.
    fn words(&mut self, at: &str) {
        self.some_words(at, &[]);
    }

    /// Words of a field that is free text in its type; the empty text is as good as none.
    fn some_words(&mut self, at: &str, values: &'static [&'static str]) {
        self.words.push(Words {
            at: at.to_owned(),
            values,
        });
    }

    /// A field that names another object. Empty is as good as unset where that is allowed.
    fn object_name(&mut self, at: &str, optional: bool, cure: &str) {
        self.bound(at, "maxLength", 253);
        let name = "self.matches(r'^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')";
        let expression = if optional {
            format!("self == '' || {name}")
        } else {
            name.to_owned()
        };
        self.rule(
            at,
            expression,
            format!("{at} is not the name of an object, which has only a-z, 0-9, - and .: {cure}"),
        );
    }

    /// A TCP port.
    fn port(&mut self, at: &str) {
        self.bound(at, "minimum", 1);
        self.bound(at, "maximum", 65535);
    }

    /// Amounts of resources: whole numbers as well as quantities.
    fn resources(&mut self, at: &str) {
        let amounts = |field: &str| {
            format!(
                "(!has(self.{field}) || self.{field}.all(k, type(self.{field}[k]) == int ? self.{field}[k] >= 0 : \
                 isQuantity(self.{field}[k]) && !quantity(self.{field}[k]).isLessThan(quantity('0'))))"
            )
        };
        for field in ["limits", "requests"] {
            self.bound(&format!("{at}.{field}"), "maxProperties", 32);
            self.bound(&format!("{at}.{field}{{}}"), "maxLength", 64);
        }
        self.rule(
            at,
            format!("{} && {}", amounts("limits"), amounts("requests")),
            format!("{at} has an amount that is none: write amounts such as 500m, 2, 1Gi or 512Mi"),
        );
    }
}

impl Rule {
    /// Blames a field below the place.
    fn field(&mut self, field: &'static str) {
        self.field = Some(field.to_owned());
    }
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
                message_expression: text("messageExpression"),
                field: text("fieldPath"),
            });
        }
    });
    rules
}

/// Every limit in the schema of a kind that one of the keywords sets.
#[must_use]
pub fn bounds_in(schema: &Value, keywords: &[&'static str]) -> Vec<Bound> {
    let mut bounds = Vec::new();
    visit(schema, "", &mut |at, schema| {
        for keyword in keywords {
            // The library writes limits of numbers as fractions.
            #[allow(clippy::cast_possible_truncation, reason = "limits are small and whole")]
            let value = schema
                .get(*keyword)
                .and_then(Value::as_f64)
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

/// Calls `see` with every schema below this one and its path.
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

/// Writes the rules of a kind into its schema.
pub(crate) fn install(kind: &str, schema: &mut Value) {
    let Rules { list, bounds, words } = of(kind);
    for Words { at, values } in &words {
        if let Some(schema) = at_path(schema, at) {
            words::install(at, values, schema);
        }
    }
    for bound in bounds {
        if let Some(schema) = at_path(schema, &bound.at) {
            schema.insert(bound.keyword.to_owned(), json!(bound.value));
        }
    }
    for rule in list {
        if let Some(schema) = at_path(schema, &rule.at) {
            add(schema, &rule);
        }
    }
}

fn of(kind: &str) -> Rules {
    match kind {
        "Pgpool" => pgpool::rules(),
        "PgpoolOpsRequest" => ops_request::rules(),
        "PgpoolVersion" => catalog::pgpool_version(),
        "AppBinding" => catalog::app_binding(),
        _ => Rules::default(),
    }
}

fn add(schema: &mut Map<String, Value>, rule: &Rule) {
    let mut entry = json!({ "rule": rule.expression, "message": rule.message });
    if let Some(expression) = &rule.message_expression {
        entry["messageExpression"] = json!(expression);
    }
    if let Some(field) = &rule.field {
        entry["fieldPath"] = json!(field);
    }
    let rules = schema
        .entry("x-kubernetes-validations")
        .or_insert_with(|| json!([]));
    if let Value::Array(rules) = rules {
        rules.push(entry);
    }
}

/// The schema at a path: fields after dots, `[]` for the items of a list, `{}` for the values of a map.
fn at_path<'a>(schema: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut at = schema;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches("[]").trim_end_matches("{}");
        at = at.get_mut("properties")?.get_mut(name)?;
        if step.ends_with("[]") {
            at = at.get_mut("items")?;
        }
        if step.ends_with("{}") {
            at = at.get_mut("additionalProperties")?;
        }
    }
    at.as_object_mut()
}

#[cfg(test)]
mod tests;
