//! The software bill of materials of each operator, part of a release.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{tools::CARGO_CYCLONEDX, workspace};

const OPERATORS: [&str; 2] = ["ops-manager", "provisioner"];
/// Images are built for other architectures too, from the same crates.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// `cargo-cyclonedx` writes one file of this name into the folder of each crate of the workspace.
const WRITTEN: &str = "unfinished-sbom";

/// Writes `target/sbom/<operator>.cdx.json` in the format `CycloneDX` 1.5: every crate that is compiled into the operator,
/// with its version, checksum and license.
///
/// # Errors
/// When the tool fails, or does not list a crate that Cargo compiles.
pub(crate) fn run() -> anyhow::Result<bool> {
    let folder = workspace::root().join("target").join("sbom");
    fs::create_dir_all(&folder)?;
    let tool = CARGO_CYCLONEDX.installed()?;
    let mut command = Command::new(tool);
    command
        .args(["cyclonedx", "--format", "json", "--spec-version", "1.5"])
        .args(["--all", "--no-build-deps", "--target", TARGET])
        .args(["--override-filename", WRITTEN])
        .current_dir(workspace::root());
    let status = command.status()?;
    let result = if status.success() {
        OPERATORS.iter().try_for_each(|operator| keep(operator, &folder))
    } else {
        Err(anyhow::anyhow!("{command:?} failed"))
    };
    for one in workspace::crates()? {
        let _ = fs::remove_file(written(&one.name));
    }
    result.map(|()| true)
}

fn written(name: &str) -> PathBuf {
    workspace::root().join(name).join(format!("{WRITTEN}.json"))
}

/// Removes from the file about one operator what only tests compile, which the tool lists too, and moves it where it belongs.
fn keep(operator: &str, folder: &Path) -> anyhow::Result<()> {
    let path = written(operator);
    let text = fs::read(&path).with_context(|| path.display().to_string())?;
    let mut bill: Value = serde_json::from_slice(&text)?;
    let mut compiled = workspace::compiled_crates(operator, TARGET)?;
    // The operator itself is the subject of the file, not a component in it.
    compiled.retain(|one| one.split(' ').next() != Some(operator));

    let components = list(&mut bill, "components")?;
    components.retain(|component| compiled.contains(&label(component)));
    let listed: BTreeSet<String> = components.iter().map(label).collect();
    let kept: HashSet<Value> = components
        .iter()
        .map(|component| component["bom-ref"].clone())
        .collect();
    let missing: Vec<&String> = compiled.difference(&listed).collect();
    ensure!(
        missing.is_empty(),
        "{operator}: cargo-cyclonedx does not list {missing:?}"
    );
    let subject = bill["metadata"]["component"]["bom-ref"].clone();
    let stays = |reference: &Value| kept.contains(reference) || *reference == subject;
    let dependencies = list(&mut bill, "dependencies")?;
    dependencies.retain(|dependency| stays(&dependency["ref"]));
    for dependency in dependencies {
        if let Some(on) = dependency["dependsOn"].as_array_mut() {
            on.retain(stays);
        }
    }

    let target = folder.join(format!("{operator}.cdx.json"));
    fs::write(&target, serde_json::to_vec_pretty(&bill)?)?;
    println!("{}: {} crates", target.display(), listed.len());
    Ok(())
}

/// Name and version, as Cargo writes them.
fn label(component: &Value) -> String {
    let text = |key: &str| component[key].as_str().unwrap_or_default().to_owned();
    format!("{} v{}", text("name"), text("version"))
}

fn list<'a>(bill: &'a mut Value, key: &str) -> anyhow::Result<&'a mut Vec<Value>> {
    bill[key]
        .as_array_mut()
        .with_context(|| format!("the bill of materials has no {key}"))
}
