//! What Cargo knows about this workspace: its crates, their targets and dependencies, and their source files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_json::Value;

/// The text of each source file, by its path below the workspace.
pub(crate) type Sources = BTreeMap<String, String>;

pub(crate) struct Crate {
    pub(crate) name: String,
    /// Root file of the library, and the name by which other crates import it.
    pub(crate) library: Option<(String, String)>,
    /// Root files of the binaries.
    pub(crate) binaries: Vec<String>,
    /// Crates of this workspace that it depends on, for tests and its build script too.
    pub(crate) dependencies: Vec<String>,
    pub(crate) sources: Sources,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn crates() -> anyhow::Result<Vec<Crate>> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version=1"])?)?;
    let root = PathBuf::from(text(&metadata["workspace_root"])?);
    list(&metadata["packages"])
        .iter()
        .map(|package| one_crate(&root, package))
        .collect()
}

/// The crates that are compiled into a crate of this workspace, itself included: `name version`.
pub(crate) fn compiled_crates(name: &str, target: &str) -> anyhow::Result<BTreeSet<String>> {
    let text = cargo(&[
        "tree",
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
        "--package",
        name,
        "--target",
        target,
    ])?;
    Ok(text
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect())
}

/// What a command of Cargo prints.
fn cargo(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--locked")
        .current_dir(root())
        .output()?;
    ensure!(
        output.status.success(),
        "cargo {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn one_crate(root: &Path, package: &Value) -> anyhow::Result<Crate> {
    let name = text(&package["name"])?.to_owned();
    let mut library = None;
    let mut binaries = Vec::new();
    for target in list(&package["targets"]) {
        let path = below(root, Path::new(text(&target["src_path"])?))?;
        match text(&target["kind"][0])? {
            "lib" => library = Some((path, text(&target["name"])?.replace('-', "_"))),
            "bin" => binaries.push(path),
            _ => {}
        }
    }
    let mut dependencies = Vec::new();
    for dependency in list(&package["dependencies"]) {
        let dependency_name = text(&dependency["name"])?;
        // A crate depends on itself to turn a feature on in its own tests.
        if dependency["path"].is_string() && dependency_name != name {
            dependencies.push(dependency_name.to_owned());
        }
    }
    let manifest = Path::new(text(&package["manifest_path"])?);
    let folder = manifest.parent().context("a manifest is in a folder")?;
    let mut sources = Sources::new();
    read(root, &folder.join("src"), &mut sources)?;
    Ok(Crate {
        name,
        library,
        binaries,
        dependencies,
        sources,
    })
}

fn read(root: &Path, folder: &Path, sources: &mut Sources) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            read(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.insert(below(root, &path)?, fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

fn below(root: &Path, path: &Path) -> anyhow::Result<String> {
    Ok(path.strip_prefix(root)?.display().to_string())
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().context("cargo metadata has an unknown format")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_has_the_lints_of_the_workspace() {
        for one in crates().unwrap() {
            let manifest = fs::read_to_string(root().join(&one.name).join("Cargo.toml")).unwrap();
            assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{}", one.name);
        }
    }
}
