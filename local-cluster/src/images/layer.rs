//! The file system of an image made of single files: the same files give the same bytes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tar::{Builder, EntryType, Header};

/// Writes a tar file with each `(source, target)` of `files`, executable.
pub(super) fn write(layer: &Path, files: &[(PathBuf, String)]) -> anyhow::Result<()> {
    let file = File::create(layer).with_context(|| format!("creating {}", layer.display()))?;
    let mut builder = Builder::new(file);
    let targets = files
        .iter()
        .map(|(_, target)| Path::new(target.trim_start_matches('/')));
    let folders: BTreeSet<&Path> = targets.flat_map(|target| target.ancestors().skip(1)).collect();
    for folder in folders
        .into_iter()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let mut header = header(EntryType::Directory, 0o755, 0);
        builder.append_data(&mut header, folder, std::io::empty())?;
    }
    for (source, target) in files {
        let content = open(source)?;
        let size = content.metadata()?.len();
        append(&mut builder, target.trim_start_matches('/'), 0o755, size, content)?;
    }
    builder
        .finish()
        .with_context(|| format!("writing {}", layer.display()))
}

/// Adds a file that is owned by root and dated 1970.
pub(super) fn append(
    builder: &mut Builder<File>,
    path: &str,
    mode: u32,
    size: u64,
    content: impl Read,
) -> anyhow::Result<()> {
    builder.append_data(&mut header(EntryType::Regular, mode, size), path, content)?;
    Ok(())
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

/// Opens a file, naming it in the error.
pub(super) fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("opening {}", path.display()))
}
