//! Everything that is generated from these types and checked in: one list for the program that writes it and for the
//! test that compares it.

use crate::{crds, policies, reference};

/// A file, by its path below the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it belongs.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Every file.
///
/// # Errors
/// An object cannot be written as YAML.
pub fn files() -> Result<Vec<File>, serde_yaml::Error> {
    let below = |folder: &str, files: Vec<(String, String)>| {
        let file = |(name, text)| File {
            path: format!("{folder}/{name}"),
            text,
        };
        files.into_iter().map(file).collect::<Vec<_>>()
    };
    Ok([
        below("charts/crds/files", crds::manifests()?),
        below("charts/crds/policies", policies::manifests()?),
        below("docs/src/reference", reference::pages()),
    ]
    .concat())
}
