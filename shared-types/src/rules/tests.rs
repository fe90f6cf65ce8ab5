use std::collections::BTreeSet;

use super::*;
use crate::crds;

const KINDS: [&str; 4] = ["Pgpool", "PgpoolOpsRequest", "PgpoolVersion", "AppBinding"];

fn schema(kind: &str) -> Schema {
    Schema::try_from(crds::schema(kind).unwrap()).unwrap()
}

#[test]
#[should_panic(expected = "the schema has no spec.nowhere")]
fn a_path_that_does_not_exist_is_not_skipped() {
    limit(&mut schema("Pgpool"), "spec.nowhere", "maxItems", 1);
}

#[test]
fn every_rule_names_a_field_that_exists() {
    for kind in KINDS {
        let value = crds::schema(kind).unwrap();
        let rules = rules_in(&value);
        let mut schema = Schema::try_from(value).unwrap();
        for rule in rules {
            let field = format!("{}{}", rule.at, rule.field.unwrap_or_default());
            if field != ".metadata.name" {
                part(&mut schema, &field);
            }
        }
    }
}

#[test]
fn every_message_says_what_is_wrong_and_how_to_fix_it() {
    for kind in KINDS {
        let mut seen = BTreeSet::new();
        for rule in rules_in(&crds::schema(kind).unwrap()) {
            let Rule { at, message, .. } = rule;
            let cure = message.starts_with("must ") || message.contains(": ");
            assert!(cure && message.len() > 20, "{kind} {at}: {message:?}");
            assert!(
                seen.insert((at.clone(), message.clone())),
                "twice at {at}: {message}"
            );
        }
    }
}

#[test]
fn every_source_of_scripts_is_counted() {
    let mut schema = schema("Pgpool");
    let script = part(&mut schema, "spec.init.script");
    let rule = script["x-kubernetes-validations"][0]["rule"].as_str().unwrap();
    for source in script["properties"].as_object().unwrap().keys() {
        let counted = rule.contains(&format!("has(self.{source})"));
        assert_eq!(counted, source != "scriptPath", "{source}");
    }
}
