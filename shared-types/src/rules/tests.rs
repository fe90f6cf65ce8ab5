use std::collections::BTreeSet;

use super::*;
use crate::crds;

fn schema(kind: &str) -> Value {
    crds::schema(kind).unwrap()
}

/// A path that leads nowhere would silently lose its rule.
#[test]
fn every_rule_stands_where_it_says() {
    for kind in ["Pgpool", "PgpoolOpsRequest", "PgpoolVersion", "AppBinding"] {
        let mut schema = schema(kind);
        let rules = of(kind);
        for rule in &rules.list {
            let place = at_path(&mut schema, &rule.at);
            let place = place.unwrap_or_else(|| panic!("{kind} has no {:?}", rule.at));
            let there = place["x-kubernetes-validations"].as_array().unwrap();
            assert!(
                there.iter().any(|entry| entry["message"] == rule.message),
                "{}",
                rule.at
            );
            let mut field = rule.at.clone();
            field.push_str(rule.field.as_deref().unwrap_or_default());
            let metadata = field == ".metadata.name";
            assert!(
                metadata || at_path(&mut schema, &field).is_some(),
                "{kind} has no {field:?}"
            );
        }
        for bound in &rules.bounds {
            let place =
                at_path(&mut schema, &bound.at).unwrap_or_else(|| panic!("{kind} has no {:?}", bound.at));
            #[allow(clippy::cast_precision_loss, reason = "limits are small")]
            let value = bound.value as f64;
            assert_eq!(place[bound.keyword].as_f64(), Some(value), "{}", bound.at);
        }
        for words in &rules.words {
            let place =
                at_path(&mut schema, &words.at).unwrap_or_else(|| panic!("{kind} has no {:?}", words.at));
            assert!(
                !place["anyOf"][0]["enum"].as_array().unwrap().is_empty(),
                "{}",
                words.at
            );
        }
    }
}

#[test]
fn every_message_names_its_field_and_is_like_no_other() {
    for kind in ["Pgpool", "PgpoolOpsRequest", "PgpoolVersion", "AppBinding"] {
        let mut seen = BTreeSet::new();
        for rule in of(kind).list {
            let place = if rule.at.is_empty() {
                "metadata.name"
            } else {
                rule.at.as_str()
            };
            assert!(rule.message.starts_with(place), "{}: {}", rule.at, rule.message);
            assert!(rule.message.contains([':', ';']), "no cure in: {}", rule.message);
            assert!(seen.insert(rule.message.clone()), "twice: {}", rule.message);
        }
    }
}

#[test]
fn every_source_of_scripts_is_counted() {
    let mut schema = schema("Pgpool");
    let script = at_path(&mut schema, "spec.init.script").unwrap();
    let rule = script["x-kubernetes-validations"][0]["rule"].as_str().unwrap();
    for source in script["properties"].as_object().unwrap().keys() {
        let counted = rule.contains(&format!("has(self.{source})"));
        assert_eq!(counted, source != "scriptPath", "{source}");
    }
}
