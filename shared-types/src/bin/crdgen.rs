//! Writes every CustomResourceDefinition into a directory, one file each.

use std::{fs, path::PathBuf, process::ExitCode};

use shared_types::crds;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: crdgen DIRECTORY");
        return ExitCode::from(2);
    };
    for (name, manifest) in crds::manifests() {
        let path = directory.join(name);
        if let Err(error) = fs::write(&path, manifest) {
            eprintln!("cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
