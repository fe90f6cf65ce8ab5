use super::*;
use crate::{crds, rules};

/// The paths of the schema without fields below them.
fn leaves() -> Vec<String> {
    let schema = crds::schema("Pgpool").unwrap();
    let mut leaves = Vec::new();
    rules::visit(&schema, "", &mut |at, schema| {
        let has_fields = ["properties", "items", "additionalProperties"]
            .iter()
            .any(|key| schema.get(*key).is_some_and(serde_json::Value::is_object));
        if at.starts_with("spec") && !has_fields {
            leaves.push(at.to_owned());
        }
    });
    leaves
}

#[test]
fn every_field_of_the_definition_is_in_the_table() {
    let leaves = leaves();
    assert!(leaves.len() > 500, "{}", leaves.len());
    let missing: Vec<_> = leaves.iter().filter(|path| field(path).is_none()).collect();
    assert!(
        missing.is_empty(),
        "say in rights/fields.rs who may set {missing:?}"
    );
}

#[test]
fn every_row_is_about_a_field_of_the_definition() {
    let leaves = leaves();
    for row in FIELDS.iter().filter(|row| row.path.starts_with("spec")) {
        let used = leaves
            .iter()
            .any(|leaf| field(leaf).is_some_and(|found| found.path == row.path));
        assert!(used, "{} is no field of the definition", row.path);
    }
}

#[test]
fn the_longest_path_decides() {
    let guard = |path: &str| field(path).map(|field| field.guard);
    assert_eq!(
        guard("spec.podTemplate.spec.volumes[].secret.secretName"),
        Some(Guard::CreatePods)
    );
    assert_eq!(
        guard("spec.podTemplate.spec.volumes[].hostPath.path"),
        Some(Guard::Forbidden)
    );
    assert_eq!(guard("spec.podTemplate.spec.hostnamex"), None);
    assert_eq!(guard("spec.replicas"), Some(Guard::Free));
}
