//! Which file imports which: a check of the rules that keep the code readable in one direction.
//!
//! It follows `use`, paths in expressions, types, macros and attributes, and every re-export to the file that defines
//! the item. Code that only tests compile is left out.

mod attributes;
mod cycles;
mod mentions;
mod resolve;
mod rules;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt;

use anyhow::Context;

use self::{
    resolve::Edges,
    rules::{LAYERS, LONGEST_FILE, STEPS, Steps},
    tree::{FileId, Tree},
};
use crate::workspace::{self, Crate};

/// What is against a rule.
pub(crate) struct Finding {
    rule: Rule,
    /// The files that it concerns, or the folder or crate.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests compare findings by it"))]
    paths: Vec<String>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Cycle,
    Step,
    Layer,
    Lines,
    Unused,
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Rule::Cycle => "cycle",
            Rule::Step => "step",
            Rule::Layer => "layer",
            Rule::Lines => "lines",
            Rule::Unused => "unused",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule.name(), self.text)
    }
}

pub(crate) fn run() -> anyhow::Result<bool> {
    let findings = check()?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} findings", findings.len());
    Ok(findings.is_empty())
}

/// What is against the rules.
pub(crate) fn check() -> anyhow::Result<Vec<Finding>> {
    let crates = workspace::crates()?;
    let mut findings = layers(&crates, LAYERS);
    let mut folders = Vec::new();
    for one in &crates {
        let tree = Tree::of(one).with_context(|| one.name.clone())?;
        let edges = resolve::edges(&tree);
        findings.extend(import_cycles(&tree, &edges));
        findings.extend(long_files(&tree));
        findings.extend(unused_files(one, &tree));
        for steps in STEPS {
            if tree.files.iter().any(|file| step_of(steps, &file.path).is_some()) {
                folders.push(steps.folder);
                findings.extend(upward_steps(steps, &tree, &edges));
            }
        }
    }
    for steps in STEPS.iter().filter(|steps| !folders.contains(&steps.folder)) {
        let text = format!("{} has no files: correct the table in rules.rs", steps.folder);
        findings.push(Finding {
            rule: Rule::Step,
            paths: vec![steps.folder.to_owned()],
            text,
        });
    }
    Ok(findings)
}

fn import_cycles(tree: &Tree, edges: &Edges) -> Vec<Finding> {
    let describe = |cycle: cycles::Cycle| {
        let links = cycle
            .shortest
            .windows(2)
            .map(|link| link_text(tree, edges, link[0], link[1]));
        let shortest: Vec<String> = links.collect();
        Finding {
            rule: Rule::Cycle,
            paths: cycle
                .files
                .iter()
                .map(|file| tree.files[*file].path.clone())
                .collect(),
            text: format!(
                "{} files import each other; the shortest cycle:\n    {}",
                cycle.files.len(),
                shortest.join("\n    ")
            ),
        }
    };
    cycles::cycles(tree, edges).into_iter().map(describe).collect()
}

fn link_text(tree: &Tree, edges: &Edges, from: FileId, to: FileId) -> String {
    let items: Vec<&str> = edges[&(from, to)].iter().map(String::as_str).collect();
    let (from, to) = (&tree.files[from].path, &tree.files[to].path);
    format!("{from} imports {} from {to}", items.join(", "))
}

/// The module directly below the folder of the controller to which the file belongs.
fn step_of<'a>(steps: &Steps, path: &'a str) -> Option<&'a str> {
    let below = path.strip_prefix(steps.folder)?.strip_prefix('/')?;
    below.split('/').next().map(|name| name.trim_end_matches(".rs"))
}

fn upward_steps(steps: &Steps, tree: &Tree, edges: &Edges) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |path: &str, text: String| {
        findings.push(Finding {
            rule: Rule::Step,
            paths: vec![path.to_owned()],
            text,
        });
    };
    let position = |file: FileId| {
        let name = step_of(steps, &tree.files[file].path)?;
        steps.modules.iter().position(|module| *module == name)
    };
    for module in steps.modules {
        if !tree
            .files
            .iter()
            .any(|file| step_of(steps, &file.path) == Some(*module))
        {
            add(
                steps.folder,
                format!(
                    "{}/{module} is in the table of rules.rs and not there",
                    steps.folder
                ),
            );
        }
    }
    for (id, file) in tree.files.iter().enumerate() {
        if step_of(steps, &file.path).is_some() && position(id).is_none() {
            add(
                &file.path,
                format!("{} has no place in the table of rules.rs", file.path),
            );
        }
    }
    for (from, to) in edges.keys() {
        if let (Some(earlier), Some(later)) = (position(*from), position(*to))
            && earlier < later
        {
            let link = link_text(tree, edges, *from, *to);
            add(&tree.files[*from].path, format!("{link}, which is a later step"));
        }
    }
    findings
}

fn layers(crates: &[Crate], layers: &[&[&str]]) -> Vec<Finding> {
    let layer_of = |name: &str| layers.iter().position(|layer| layer.contains(&name));
    let mut findings = Vec::new();
    let mut add = |name: &str, text: String| {
        findings.push(Finding {
            rule: Rule::Layer,
            paths: vec![name.to_owned()],
            text,
        });
    };
    for one in crates {
        let Some(layer) = layer_of(&one.name) else {
            add(
                &one.name,
                format!("{} has no layer: give it one in rules.rs", one.name),
            );
            continue;
        };
        for dependency in &one.dependencies {
            if layer_of(dependency).is_some_and(|below| below >= layer) {
                let text = format!("{} depends on {dependency}, which is no lower layer", one.name);
                add(&one.name, text);
            }
        }
    }
    for name in layers.iter().copied().flatten() {
        if !crates.iter().any(|one| one.name == *name) {
            add(
                name,
                format!("{name} has a layer in rules.rs and is no crate of this workspace"),
            );
        }
    }
    findings
}

fn long_files(tree: &Tree) -> Vec<Finding> {
    let long = tree.files.iter().filter(|file| file.lines > LONGEST_FILE);
    let describe = |file: &tree::File| Finding {
        rule: Rule::Lines,
        paths: vec![file.path.clone()],
        text: format!(
            "{} has {} lines, more than {LONGEST_FILE}: split it",
            file.path, file.lines
        ),
    };
    long.map(describe).collect()
}

/// Files that no module names: nothing compiles them.
fn unused_files(one: &Crate, tree: &Tree) -> Vec<Finding> {
    let unused = one.sources.keys().filter(|path| !tree.reaches(path));
    let describe = |path: &String| Finding {
        rule: Rule::Unused,
        paths: vec![path.clone()],
        text: format!("{path} belongs to no module: delete it"),
    };
    unused.map(describe).collect()
}
