//! Compares the permissions in the charts with the tables on the page *Security*: each resource has a row, and no row is
//! about a resource that an operator has no permission for.

use std::{collections::BTreeSet, fs};

use anyhow::Context;

use crate::workspace;

const PAGE: &str = "docs/src/topics/security.md";
/// The heading of a table, and the template with the rules that it is about.
const TABLES: [(&str, &str); 2] = [
    (
        "## Permissions of the provisioner",
        "charts/provisioner/templates/_rules.tpl",
    ),
    (
        "## Permissions of ops-manager",
        "charts/ops-manager/templates/_rules.tpl",
    ),
];

/// Prints each difference. Returns whether there is none.
pub(crate) fn run() -> anyhow::Result<bool> {
    let page = fs::read_to_string(workspace::root().join(PAGE)).context(PAGE)?;
    let mut passed = true;
    for (heading, template) in TABLES {
        let rules = fs::read_to_string(workspace::root().join(template)).context(template)?;
        let (granted, explained) = (resources(&rules), rows(&page, heading));
        for resource in granted.difference(&explained) {
            println!("{PAGE}: add a row for `{resource}` under \"{heading}\": {template} grants it");
            passed = false;
        }
        for resource in explained.difference(&granted) {
            println!("{PAGE}: remove `{resource}` under \"{heading}\": {template} does not grant it");
            passed = false;
        }
    }
    Ok(passed)
}

/// The resources that a template of rules names.
fn resources(rules: &str) -> BTreeSet<String> {
    rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("resources: [")?.strip_suffix(']'))
        .flat_map(|list| list.split(','))
        .map(|resource| resource.trim().to_owned())
        .collect()
}

/// The first cells of the table below a heading.
fn rows(page: &str, heading: &str) -> BTreeSet<String> {
    page.lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(resource, _)| resource.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "- apiGroups: [\"\"]\n  resources: [pods, pods/resize]\n  verbs: [patch]\n";

    #[test]
    fn a_rule_may_name_several_resources() {
        assert_eq!(
            resources(RULES),
            BTreeSet::from(["pods".to_owned(), "pods/resize".to_owned()])
        );
    }

    #[test]
    fn the_rows_of_other_tables_do_not_count() {
        let page = "## A\n\n| `pods` | patch |\n\n## B\n\n| Resource |\n|---|\n| `jobs` | list |\n\n## C\n| `nodes` |\n";
        assert_eq!(rows(page, "## B"), BTreeSet::from(["jobs".to_owned()]));
    }

    #[test]
    fn the_page_explains_every_permission() {
        assert!(run().unwrap());
    }
}
