//! The file system of an image made from single files: the same files give the same bytes.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tar::{Builder, EntryType, Header};

/// Writes a tar file with each `(source, target)` of `files`, executable, owned by root, dated 1970.
pub fn write(layer: &Path, files: &[(PathBuf, String)]) -> anyhow::Result<()> {
    let file = File::create(layer).with_context(|| format!("creating {}", layer.display()))?;
    let mut builder = Builder::new(file);
    let mut folders = BTreeSet::new();
    for (_, target) in files {
        folders.extend(
            Path::new(target.trim_start_matches('/'))
                .ancestors()
                .skip(1)
                .map(Path::to_owned),
        );
    }
    for folder in folders.iter().filter(|folder| !folder.as_os_str().is_empty()) {
        builder.append_data(&mut header(EntryType::Directory, 0), folder, std::io::empty())?;
    }
    for (source, target) in files {
        let content = super::open(source)?;
        let size = content.metadata()?.len();
        builder.append_data(
            &mut header(EntryType::Regular, size),
            target.trim_start_matches('/'),
            content,
        )?;
    }
    builder
        .finish()
        .with_context(|| format!("writing {}", layer.display()))
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}
