//! Keeps what takes long to build: Go programs, root file systems, images.
//!
//! An entry is a folder named by a hash of all its inputs, so a changed input makes a new entry and never edits an old
//! one. Entries appear by a rename, so a folder that exists is complete even if its writer was killed.

use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use aws_lc_rs::digest::{Context, SHA256};

/// The folder inside the user's cache folder that belongs to this project.
const FOLDER: &str = "pgpool-operators";

/// How many entries of one name are kept: switching between two branches should not build everything again.
const KEPT: usize = 3;

/// The cache folder of one user.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the cache: `explicit` when given, else below `xdg` (the value of `XDG_CACHE_HOME`), else below
    /// `~/.cache`.
    pub fn locate(explicit: Option<&Path>, xdg: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(root) = explicit {
            return Ok(Self {
                root: std::path::absolute(root)?,
            });
        }
        // The XDG specification says to ignore a relative path.
        if let Some(base) = xdg.filter(|path| path.is_absolute()) {
            return Ok(Self {
                root: base.join(FOLDER),
            });
        }
        let home = std::env::home_dir().context("no cache folder: set XDG_CACHE_HOME or HOME")?;
        Ok(Self {
            root: home.join(".cache").join(FOLDER),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file that receives the output of the command called `name`.
    pub fn log(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join("logs");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(folder.join(format!("{name}.log")))
    }

    /// Returns the entry. If it does not exist yet, `make` fills an empty folder first; a second process that needs the
    /// same name waits for it.
    pub(crate) fn entry(
        &self,
        name: &str,
        key: &Key,
        make: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let entry = self.path(name, key);
        if entry.is_dir() {
            return Ok(entry);
        }
        let _lock = self.lock(name)?;
        if entry.is_dir() {
            return Ok(entry);
        }
        let draft = self.root.join("drafts").join(format!("{name}-{key}"));
        remove(&draft)?;
        fs::create_dir_all(&draft).with_context(|| format!("creating {}", draft.display()))?;
        make(&draft)?;
        if let Some(parent) = entry.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&draft, &entry).with_context(|| format!("storing {}", entry.display()))?;
        self.prune(name)?;
        Ok(entry)
    }

    /// Takes the lock called `name`, which is held until the returned file is dropped.
    fn lock(&self, name: &str) -> anyhow::Result<File> {
        let folder = self.root.join("locks");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let path = folder.join(format!("{name}.lock"));
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        file.lock()
            .with_context(|| format!("locking {}", path.display()))?;
        Ok(file)
    }

    pub fn clean(&self) -> anyhow::Result<()> {
        remove(&self.root)
    }

    fn path(&self, name: &str, key: &Key) -> PathBuf {
        self.root.join(name).join(&key.0)
    }

    fn prune(&self, name: &str) -> anyhow::Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(self.root.join(name))? {
            let entry = entry?;
            entries.push((entry.metadata()?.modified()?, entry.path()));
        }
        entries.sort();
        let surplus = entries.len().saturating_sub(KEPT);
        entries
            .iter()
            .take(surplus)
            .try_for_each(|(_, path)| remove(path))
    }
}

/// Removes a folder with its content, if it exists.
pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The hash of a set of inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Collects the inputs of a [`Key`]. Each one is hashed with its label and length, so that no two sets of inputs are the
/// same sequence of bytes.
#[must_use]
pub(crate) struct Inputs {
    hasher: Context,
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            hasher: Context::new(&SHA256),
        }
    }
}

impl Inputs {
    pub(crate) fn text(mut self, label: &str, value: &str) -> Self {
        self.part(label.as_bytes());
        self.part(value.as_bytes());
        self
    }

    pub(crate) fn file(mut self, label: &str, path: &Path) -> anyhow::Result<Self> {
        let mut content = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut content))
            .with_context(|| format!("reading {}", path.display()))?;
        self.part(label.as_bytes());
        self.part(&content);
        Ok(self)
    }

    pub(crate) fn key(self) -> Key {
        let digest = hex(self.hasher.finish().as_ref());
        Key(digest.chars().take(16).collect())
    }

    fn part(&mut self, bytes: &[u8]) {
        self.hasher.update(&bytes.len().to_be_bytes());
        self.hasher.update(bytes);
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            use fmt::Write as _;
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::locate(Some(folder.path()), None).unwrap();
        (folder, cache)
    }

    #[test]
    fn an_entry_is_made_once() {
        let (_folder, cache) = cache();
        let key = Inputs::default().text("a", "1").key();
        let mut made = 0;
        for _ in 0..2 {
            let entry = cache
                .entry("thing", &key, |draft| {
                    made += 1;
                    Ok(fs::write(draft.join("file"), "x")?)
                })
                .unwrap();
            assert_eq!(fs::read_to_string(entry.join("file")).unwrap(), "x");
        }
        assert_eq!(made, 1);
    }

    #[test]
    fn a_failed_entry_does_not_exist() {
        let (_folder, cache) = cache();
        let key = Inputs::default().key();
        assert!(cache.entry("thing", &key, |_| anyhow::bail!("no")).is_err());
        assert!(!cache.path("thing", &key).exists());
        assert!(cache.entry("thing", &key, |_| Ok(())).is_ok());
    }

    #[test]
    fn old_entries_are_removed() {
        let (folder, cache) = cache();
        for number in 0..5 {
            let key = Inputs::default().text("n", &number.to_string()).key();
            cache.entry("thing", &key, |_| Ok(())).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path().join("thing")).unwrap().count(), KEPT);
    }

    #[test]
    fn labels_and_values_are_kept_apart() {
        let one = Inputs::default().text("ab", "c").key();
        let two = Inputs::default().text("a", "bc").key();
        assert_ne!(one, two);
        assert_eq!(one, Inputs::default().text("ab", "c").key());
    }

    #[test]
    fn a_relative_xdg_folder_is_ignored() {
        let ignored = Cache::locate(None, Some(Path::new("relative"))).unwrap();
        assert!(ignored.root().is_absolute());
        let used = Cache::locate(None, Some(Path::new("/x"))).unwrap();
        assert_eq!(used.root(), Path::new("/x/pgpool-operators"));
    }
}
