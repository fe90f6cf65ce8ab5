//! Writes every CustomResourceDefinition into a directory, one file each.

use std::{error::Error, fs, path::PathBuf};

use shared_types::crds;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .ok_or("usage: crdgen DIRECTORY")?;
    for (name, manifest) in crds::manifests()? {
        fs::write(directory.join(name), manifest)?;
    }
    Ok(())
}
