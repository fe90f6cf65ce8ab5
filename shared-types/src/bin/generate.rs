//! Writes everything that is generated from these types: definitions, policies and reference pages.

use std::{error::Error, fs, path::Path};

use shared_types::generated;

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in generated::files()? {
        fs::write(workspace.join(&file.path), file.text)
            .map_err(|error| format!("{}: {error}", file.path))?;
    }
    Ok(())
}
