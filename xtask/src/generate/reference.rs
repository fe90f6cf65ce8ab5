//! Reference pages in Markdown, generated from the types, so that they describe exactly what the API server accepts.

mod conditions;
mod fields;
mod limits;
mod links;
mod rights;
mod rules;

use serde_json::{Map, Value};
use shared_types::crds;

/// Every page: the name of its file and its text.
pub(super) fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = crds::all()
        .iter()
        .map(|crd| {
            let name = format!("{}.md", crd.spec.names.kind.to_lowercase());
            (name, fields::page(crd))
        })
        .collect();
    pages.push(("rules.md".to_owned(), rules::page()));
    pages.push(("rights.md".to_owned(), rights::page()));
    pages.push(("conditions.md".to_owned(), conditions::page()));
    pages.push(("sizes.md".to_owned(), limits::page()));
    pages
}

/// At the top of each page.
const GENERATED: &str = "<!-- Generated: cargo xtask generate -->";

/// A text as it is written in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The fields of a schema whose descriptions are ours. Types of Kubernetes come without descriptions, because
/// `kubectl explain` has them.
fn own_fields(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    let fields = schema.get("properties")?.as_object()?;
    let described = fields.values().any(|field| field.get("description").is_some());
    described.then_some(fields)
}

/// The values that a field accepts.
fn words(schema: &Map<String, Value>) -> Vec<&str> {
    let listed = schema
        .get("enum")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let words = listed.iter().filter_map(Value::as_str);
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests;
