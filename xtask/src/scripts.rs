//! Shell scripts in the objects that the operators create: the golden files have them as they are applied.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_yaml::Value;

use crate::{tools::SHELLCHECK, workspace};

/// Lists of process ids and of words are split on purpose; the names are the environment of the container.
const EXCEPTIONS: &str = "--exclude=SC2086,SC2034,SC2154";

/// Runs shellcheck over every script in the golden files of the provisioner.
pub(crate) fn run() -> anyhow::Result<bool> {
    let mut scripts = BTreeSet::new();
    for path in goldens(&workspace::root().join("provisioner"))? {
        let text = fs::read_to_string(&path)?;
        // A header and the object, as two documents; other snapshots are plain text.
        let Some((_, object)) = text.trim_start_matches("---\n").split_once("\n---\n") else {
            continue;
        };
        if let Ok(object) = serde_yaml::from_str(object) {
            find(&object, &mut scripts);
        }
    }
    ensure!(!scripts.is_empty(), "no golden file has a script");
    let folder = workspace::root().join("target/scripts");
    fs::create_dir_all(&folder)?;
    let mut shellcheck = Command::new(SHELLCHECK.installed()?);
    shellcheck.args(["--shell=sh", EXCEPTIONS]);
    for (number, script) in scripts.iter().enumerate() {
        let path = folder.join(format!("{number}.sh"));
        fs::write(&path, script).with_context(|| path.display().to_string())?;
        shellcheck.arg(path);
    }
    println!(
        "shellcheck over {} scripts in {}",
        scripts.len(),
        folder.display()
    );
    Ok(shellcheck.status()?.success())
}

fn goldens(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(goldens(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "snap") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Collects what follows `sh -c` in any list.
fn find(value: &Value, scripts: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(fields) => {
            for field in fields.values() {
                find(field, scripts);
            }
        }
        Value::Sequence(items) => {
            for words in items.windows(3) {
                if let [Value::String(shell), Value::String(flag), Value::String(script)] = words
                    && shell.rsplit('/').next() == Some("sh")
                    && flag.starts_with('-')
                    && flag.ends_with('c')
                {
                    scripts.insert(script.clone());
                }
            }
            for item in items {
                find(item, scripts);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_follows_the_shell() {
        let object = serde_yaml::from_str(
            "containers: [{command: [/bin/sh, -ec, echo a]}, {command: [sh, -c, echo b, x]}, {args: [-c, no]}]",
        );
        let mut scripts = BTreeSet::new();
        find(&object.unwrap(), &mut scripts);
        assert_eq!(scripts.into_iter().collect::<Vec<_>>(), ["echo a", "echo b"]);
    }
}
