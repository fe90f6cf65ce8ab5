//! The page of a kind: one section per object, one row per field.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value};
use shared_types::rules::{is_limit_of_type, is_time};
use shared_types::{
    crds,
    rules::{self, Rule},
};

use super::{GENERATED, cell, links, own_fields, words};

pub(super) fn page(crd: &CustomResourceDefinition) -> String {
    let names = &crd.spec.names;
    let schema = crds::schema(&names.kind).unwrap_or_default();
    let version = crd.spec.versions.first().map(|version| version.name.as_str());
    let short = names.short_names.iter().flatten().map(|name| format!("`{name}`"));
    let named = std::iter::once(format!("`{}`", names.plural))
        .chain(short)
        .collect::<Vec<_>>();
    let mut page = format!(
        "# {}\n\n{GENERATED}\n\n{}.\n\n- `apiVersion: {}/{}`, `kind: {}`, {}\n- `kubectl get` accepts {}\n\n",
        names.kind,
        schema
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default(),
        crd.spec.group,
        version.unwrap_or_default(),
        names.kind,
        crd.spec.scope.to_lowercase(),
        named.join(", "),
    );
    let rules = Messages::of(&schema);
    for rule in rules.at("") {
        let _ = writeln!(page, "- {rule}");
    }
    page.push_str(
        "\n`kubectl` rejects a field that is not listed here; clients without strict validation drop it \
         silently.\n",
    );
    let mut sections = Sections {
        page,
        rules,
        required: Vec::new(),
    };
    for part in ["spec", "status"] {
        if let Some(Value::Object(schema)) = schema.pointer(&format!("/properties/{part}")) {
            sections.section(part, schema);
        }
    }
    sections.page
}

/// Messages of rules by the field that they name.
struct Messages(BTreeMap<String, Vec<String>>);

impl Messages {
    fn of(schema: &Value) -> Self {
        let mut messages: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for Rule {
            at, field, message, ..
        } in rules::rules_in(schema)
        {
            let place = format!("{at}{}", field.unwrap_or_default());
            messages.entry(place).or_default().push(message);
        }
        Self(messages)
    }

    fn at(&self, path: &str) -> &[String] {
        self.0.get(path).map(Vec::as_slice).unwrap_or_default()
    }
}

struct Sections {
    page: String,
    rules: Messages,
    required: Vec<String>,
}

impl Sections {
    fn section(&mut self, path: &str, schema: &Map<String, Value>) {
        let Some(fields) = own_fields(schema) else { return };
        let _ = write!(self.page, "\n## {path}\n\n");
        if let Some(text) = description(schema) {
            let _ = write!(self.page, "{text}\n\n");
        }
        let messages = self.rules.at(path).to_vec();
        for rule in &messages {
            let _ = writeln!(self.page, "- {rule}");
        }
        if !messages.is_empty() {
            self.page.push('\n');
        }
        self.page
            .push_str("| Field | Type | When unset | |\n|---|---|---|---|\n");
        self.required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let required = self.required.clone();
        let mut volume_sources = false;
        let mut below = Vec::new();
        for (name, field) in fields {
            let Value::Object(field) = field else { continue };
            let at = format!("{path}.{name}");
            if path == "spec.init.script" && description(field).is_none() && own(field).is_none() {
                volume_sources = true;
                continue;
            }
            self.row(&at, name, field, required.contains(name));
            below.extend(own(field).map(|(step, inner)| (format!("{at}{step}"), inner)));
        }
        if volume_sources {
            let link = links::embedded("spec.init.script.").unwrap_or_default();
            let _ = writeln!(
                self.page,
                "| `configMap`, `secret` and so on | {link} | | Any volume source of Kubernetes, as in a volume. |"
            );
        }
        for (at, inner) in below {
            self.section(&at, inner);
        }
    }

    fn row(&mut self, at: &str, name: &str, field: &Map<String, Value>, required: bool) {
        let text = description(field).unwrap_or_default();
        let (text, unset) = split_default(text);
        let unset = match (required, unset) {
            (true, _) => "required".to_owned(),
            (false, unset) => unset.unwrap_or_default(),
        };
        let mut texts = vec![text];
        texts.extend(limits(field));
        for place in [at.to_owned(), format!("{at}[]"), format!("{at}{{}}")] {
            let has_section = own(field).is_some_and(|(step, _)| place == format!("{at}{step}"));
            if !has_section {
                texts.extend(self.rules.at(&place).iter().cloned());
            }
        }
        if own(field).is_none() {
            // Fields of Kubernetes' types have no row of their own.
            let inside = self.rules.0.iter().filter(|(place, _)| {
                place.starts_with(&format!("{at}[].")) || place.starts_with(&format!("{at}."))
            });
            texts.extend(inside.flat_map(|(_, messages)| messages.iter().cloned()));
        }
        texts.retain(|text| !text.is_empty());
        let _ = writeln!(
            self.page,
            "| `{name}` | {} | {} | {} |",
            kind(at, field),
            cell(&unset),
            cell(&texts.join("<br>"))
        );
    }
}

fn description(schema: &Map<String, Value>) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The schema of the object that a field contains, if it is ours, and the step to it.
fn own(field: &Map<String, Value>) -> Option<(&'static str, &Map<String, Value>)> {
    if own_fields(field).is_some() {
        return Some(("", field));
    }
    let items = field.get("items")?.as_object()?;
    own_fields(items).map(|_| ("[]", items))
}

fn kind(at: &str, field: &Map<String, Value>) -> String {
    let plain = |field: &Map<String, Value>| match field.get("type").and_then(Value::as_str) {
        Some("array") => "list".to_owned(),
        Some("object") if field.contains_key("x-kubernetes-preserve-unknown-fields") => {
            "any object".to_owned()
        }
        Some("object") if !field.contains_key("properties") => "empty object".to_owned(),
        Some(word) => word.to_owned(),
        None => "integer or string".to_owned(),
    };
    let anchor = |path: &str| {
        let letters = path.to_lowercase();
        let letters = letters.chars().filter(char::is_ascii_alphanumeric);
        format!("[{}](#{})", "object", letters.collect::<String>())
    };
    if let Some((step, _)) = own(field) {
        let link = anchor(&format!("{at}{step}"));
        return if step.is_empty() {
            link
        } else {
            format!("list of {link}")
        };
    }
    let inner = field.get("items").or_else(|| field.get("additionalProperties"));
    let deep = |schema: &Map<String, Value>| schema.contains_key("properties");
    let embedded = deep(field) || inner.and_then(Value::as_object).is_some_and(deep);
    let shape = match (
        field.contains_key("items"),
        field.contains_key("additionalProperties"),
    ) {
        (true, _) => "list of ",
        (_, true) => "map of ",
        _ => "",
    };
    let name = match (embedded, inner.and_then(Value::as_object)) {
        (true, _) => links::embedded(at).unwrap_or_else(|| "object".to_owned()),
        (false, Some(inner)) => plain(inner),
        (false, None) => plain(field),
    };
    format!("{shape}{name}")
}

/// Limits that keywords of a schema set.
fn limits(field: &Map<String, Value>) -> Vec<String> {
    let number = |key: &str| {
        let limit = field.get(key).and_then(Value::as_f64);
        limit.filter(|limit| !is_limit_of_type(*limit))
    };
    let mut limits = Vec::new();
    let words = words(field);
    if !words.is_empty() {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        limits.push(format!("One of {}.", words.join(", ")));
    }
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => limits.push(format!("{least} to {most}.")),
        (Some(least), None) => limits.push(format!("{least} or more.")),
        (None, Some(most)) => limits.push(format!("{most} or less.")),
        (None, None) => {}
    }
    if let Some(keys) = field.get("x-kubernetes-list-map-keys").and_then(Value::as_array) {
        let keys: Vec<_> = keys.iter().filter_map(Value::as_str).collect();
        limits.push(format!("One entry for each `{}`.", keys.join("`, `")));
    }
    if is_time(&Value::Object(field.clone())) {
        limits.push("A time such as `2026-01-02T03:04:05Z`.".to_owned());
    }
    limits
}

/// Takes `; X when unset` out of a description.
fn split_default(text: String) -> (String, Option<String>) {
    let Some((before, _)) = text.split_once(" when unset") else {
        return (text, None);
    };
    let Some((kept, default)) = before.rsplit_once("; ") else {
        return (text, None);
    };
    let rest = text.split_once(" when unset").map_or("", |(_, rest)| rest);
    let end = if rest.starts_with('.') { "" } else { "." };
    (format!("{kept}{end}{rest}"), Some(default.to_owned()))
}
