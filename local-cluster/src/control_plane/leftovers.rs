//! The folders of control planes, and ending those whose owner was killed.
//!
//! The owner of a folder holds a lock in it, which the kernel releases when the owner ends. A folder whose lock is free is
//! a leftover: its recorded processes are ended and it is removed.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::Context as _;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::cache;
use crate::process::Recorded;

const PREFIX: &str = "pgpool-e2e-";

/// Creates a folder in `base`, owned as long as the returned file is open.
pub(crate) fn claim(base: &Path) -> anyhow::Result<(TempDir, File)> {
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(base)
        .with_context(|| format!("creating a folder in {}", base.display()))?;
    fs::create_dir(folder.path().join("pids"))?;
    // Locked before it has its name: an unlocked claim always means that its owner has ended.
    let (draft, name) = (folder.path().join("claim.new"), folder.path().join("claim"));
    let claim = File::create(&draft)?;
    claim.lock()?;
    fs::rename(&draft, &name)?;
    Ok((folder, claim))
}

/// Ends and removes the control planes in `base` whose owner has ended.
pub(crate) fn sweep(base: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(base)? {
        let folder = entry?.path();
        let ours = folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        // A folder without a claim is about to be claimed, or belongs to another program.
        let Some(claim) = ours.then(|| File::open(folder.join("claim")).ok()).flatten() else {
            continue;
        };
        match claim.try_lock() {
            Ok(()) => end(&folder)?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

fn end(folder: &Path) -> anyhow::Result<()> {
    if let Ok(records) = fs::read_dir(folder.join("pids")) {
        for record in records {
            // An unreadable record was being written when the owner was killed.
            if let Ok(process) = Recorded::load(&record?.path()) {
                process.signal(Signal::KILL)?;
            }
        }
    }
    cache::remove(folder)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_an_orphan_is_swept() {
        let base = tempfile::tempdir().unwrap();
        let (owned, _claim) = claim(base.path()).unwrap();
        let (orphan, dropped) = claim(base.path()).unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let record = Recorded::of(child.id().cast_signed()).unwrap();
        record.save(&orphan.path().join("pids/sleep")).unwrap();
        drop(dropped);
        sweep(base.path()).unwrap();
        record.wait_end(Duration::from_secs(10)).unwrap();
        child.wait().unwrap();
        assert!(owned.path().exists());
        assert!(!orphan.path().exists());
    }
}
