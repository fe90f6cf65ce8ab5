use shared_types::{policies, rules};

use super::*;

const KINDS: [&str; 4] = ["Pgpool", "PgpoolOpsRequest", "PgpoolVersion", "AppBinding"];

fn page(name: &str) -> String {
    let mut pages = pages().into_iter();
    pages.find(|(page, _)| page == name).unwrap().1
}

#[test]
fn every_rule_has_a_row() {
    let page = page("rules.md");
    let check = |message: &str| assert!(page.contains(&cell(message)), "no row for: {message}");
    for kind in KINDS {
        for rule in rules::rules_in(&crds::schema(kind).unwrap()) {
            check(&rule.message);
        }
    }
    for policy in policies::all() {
        for validation in policy.policy.spec.unwrap().validations.unwrap() {
            check(&validation.message.unwrap());
        }
    }
}

#[test]
fn every_field_of_ours_is_described() {
    for kind in KINDS {
        let schema = crds::schema(kind).unwrap();
        rules::visit(&schema, "", &mut |at, schema| {
            let Some(fields) = own_fields(schema) else { return };
            for (name, field) in fields {
                let root = at.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name.as_str());
                let volume_source =
                    at == "spec.init.script" && !["scriptPath", "git"].contains(&name.as_str());
                let text = field["description"].as_str().unwrap_or_default();
                assert!(
                    root || volume_source || text.len() > 8,
                    "{kind}: {at}.{name} is described as {text:?}"
                );
            }
        });
    }
}

/// A page of thousands of rows would help nobody, so types of Kubernetes are linked.
#[test]
fn every_type_of_kubernetes_has_a_link() {
    for kind in KINDS {
        let schema = crds::schema(kind).unwrap();
        rules::visit(&schema, "", &mut |at, schema| {
            let Some(fields) = own_fields(schema) else { return };
            for (name, field) in fields {
                let inner = [field, &field["items"], &field["additionalProperties"]];
                let embedded = inner.iter().any(|inner| {
                    let fields = inner["properties"].as_object();
                    fields.is_some() && own_fields(inner.as_object().unwrap()).is_none()
                });
                let path = format!("{at}.{name}");
                let linked = !embedded || links::embedded(&path).is_some();
                assert!(linked, "{kind}: {path} has no link");
            }
        });
    }
}

#[test]
fn pages_have_every_field_of_ours() {
    for kind in KINDS {
        let page = page(&format!("{}.md", kind.to_lowercase()));
        let schema = crds::schema(kind).unwrap();
        rules::visit(&schema, "", &mut |at, schema| {
            if !at.is_empty() && own_fields(schema).is_some() {
                assert!(page.contains(&format!("\n## {at}\n")), "{kind}: no section {at}");
            }
        });
        assert!(!page.contains("| object |"), "{kind}");
    }
}
