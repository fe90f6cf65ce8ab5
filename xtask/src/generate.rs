//! The files that are generated from the types of the API and checked in: definitions, policies, reference pages.

mod reference;

use std::{fs, path::Path};

use anyhow::Context;
use shared_types::{
    crds,
    policies::{self, Policy},
};

use crate::workspace;

const DEFINITIONS: &str = "charts/crds/files";
const POLICIES: &str = "charts/crds/policies";
const PAGES: &str = "docs/src/reference";

/// A file, by its path below the workspace.
#[derive(Debug, PartialEq, Eq)]
struct File {
    path: String,
    text: String,
}

/// Writes every file; or only says which of them are stale, and fails.
pub(crate) fn run(check: bool) -> anyhow::Result<bool> {
    let root = workspace::root();
    let files = files()?;
    if !check {
        for file in &files {
            fs::write(root.join(&file.path), &file.text).with_context(|| file.path.clone())?;
        }
    }
    let wrong = wrong(&root, &files)?;
    for text in &wrong {
        println!("{text}");
    }
    Ok(wrong.is_empty())
}

fn files() -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for definition in crds::all() {
        let name = definition.metadata.name.as_deref().unwrap_or_default();
        files.push(File {
            path: format!("{DEFINITIONS}/{name}.yaml"),
            text: serde_yaml::to_string(&definition)?,
        });
    }
    for Policy { policy, binding } in policies::all() {
        let name = policy.metadata.name.as_deref().unwrap_or_default();
        files.push(File {
            path: format!("{POLICIES}/{name}.yaml"),
            text: format!(
                "{}---\n{}",
                serde_yaml::to_string(&policy)?,
                serde_yaml::to_string(&binding)?
            ),
        });
    }
    for (name, text) in reference::pages() {
        files.push(File {
            path: format!("{PAGES}/{name}"),
            text,
        });
    }
    Ok(files)
}

/// Files that differ from what is generated, and files beside them that nothing generates.
fn wrong(root: &Path, files: &[File]) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for File { path, text } in files {
        if !fs::read_to_string(root.join(path)).is_ok_and(|present| present == *text) {
            wrong.push(format!("{path} is stale: cargo xtask generate"));
        }
    }
    for folder in [DEFINITIONS, POLICIES] {
        for entry in fs::read_dir(root.join(folder)).context(folder)? {
            let path = format!("{folder}/{}", entry?.file_name().display());
            if !files.iter().any(|file| file.path == path) {
                wrong.push(format!("{path} is not generated: delete it"));
            }
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests;
