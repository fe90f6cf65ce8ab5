//! Only one command at a time uses the local cluster, regardless of its source tree and user.
//!
//! There is one cluster on a machine, and a command from another tree replaces it when its programs differ. So a
//! command that starts, changes or tests the cluster holds this lock until it ends; the next one waits and reports
//! which process it waits for. The only file it writes is next to the cluster's folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rustix::io::{FdFlags, fcntl_setfd};

use crate::progress::Progress;

const FILE: &str = "/var/cache/pgpool-e2e.lock";

/// Names the process that holds the lock, for a command started by `exec`.
pub const HOLDER: &str = "PGPOOL_E2E_HOLDER";

/// Characters of a command that are shown.
const SHOWN: usize = 100;

/// What a command does when another process holds the lock.
#[derive(Clone, Copy, Debug, Default)]
pub struct LockOptions {
    /// It fails instead of waiting.
    pub no_wait: bool,
    /// The process that holds the lock on behalf of this one.
    pub holder: Option<i32>,
}

/// The lock, held until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct ClusterLock {
    /// Absent where a caller holds it.
    file: Option<Arc<File>>,
}

impl ClusterLock {
    /// Takes the lock; waits while another process holds it, unless `options` say otherwise.
    pub(crate) fn acquire(options: LockOptions, progress: &Progress) -> anyhow::Result<Self> {
        Self::acquire_at(Path::new(FILE), options, |holder| {
            progress.line(format_args!(
                "waiting: {holder} (use --no-wait to fail instead, --kubeconfig for another cluster)"
            ));
        })
    }

    /// Takes the lock if it is free; otherwise returns who holds it.
    pub fn try_acquire() -> anyhow::Result<Result<Self, String>> {
        Self::attempt(Path::new(FILE), |_| false)
    }

    /// Lets the program that this process becomes keep the lock.
    pub fn pass_to(&self, command: &mut Command) -> anyhow::Result<()> {
        if let Some(file) = &self.file {
            fcntl_setfd(file, FdFlags::empty()).context("passing the lock of the cluster on")?;
            command.env(HOLDER, std::process::id().to_string());
        }
        Ok(())
    }

    /// Removes the file with the lock, so that nothing of a cluster is left on the machine.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        match self.file {
            Some(_) => fs::remove_file(FILE).with_context(|| format!("removing {FILE}")),
            None => Ok(()),
        }
    }

    fn acquire_at(path: &Path, options: LockOptions, report: impl Fn(&str)) -> anyhow::Result<Self> {
        let held_for_us = |holder: &str| {
            options
                .holder
                .is_some_and(|pid| holder.starts_with(&format!("process {pid} ")))
        };
        let taken = Self::attempt(path, |holder| {
            let wait = !options.no_wait && !held_for_us(holder);
            if wait {
                report(holder);
            }
            wait
        });
        match taken? {
            Ok(lock) => Ok(lock),
            Err(holder) if held_for_us(&holder) => Ok(Self { file: None }),
            Err(holder) => bail!(
                "{holder}: try again when it has ended, without --no-wait to wait for it, or with --kubeconfig to use \
                 another cluster"
            ),
        }
    }

    /// Takes the lock. While another process holds it, `wait` is called with that process and decides whether to
    /// wait or to return it.
    fn attempt(path: &Path, wait: impl Fn(&str) -> bool) -> anyhow::Result<Result<Self, String>> {
        loop {
            let mut file = open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = read_holder(&mut file)?;
                    if !wait(&holder) {
                        return Ok(Err(holder));
                    }
                    file.lock()
                        .with_context(|| format!("waiting for {}", path.display()))?;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {}", path.display()));
                }
            }
            // `down` removes the file while others wait for it; the next command then makes another one.
            if is_at(&file, path)? {
                write_holder(&mut file)?;
                return Ok(Ok(Self {
                    file: Some(Arc::new(file)),
                }));
            }
        }
    }
}

/// Writes who holds the lock, as it is shown to others.
fn write_holder(file: &mut File) -> anyhow::Result<()> {
    let words = std::env::args_os().skip(1);
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let command: String = format!("cargo e2e {}", words.join(" "))
        .chars()
        .take(SHOWN)
        .collect();
    file.set_len(0)?;
    file.rewind()?;
    write!(
        file,
        "process {} has used the cluster since {}: `{command}` in {}",
        std::process::id(),
        Timestamp::try_from(SystemTime::now())?.strftime("%H:%M:%S UTC"),
        std::env::current_dir().unwrap_or_default().display(),
    )?;
    Ok(())
}

fn read_holder(file: &mut File) -> anyhow::Result<String> {
    let mut holder = String::new();
    file.read_to_string(&mut holder)?;
    if holder.is_empty() {
        // It has locked the file and not written yet.
        holder.push_str("another process uses the cluster");
    }
    Ok(holder)
}

fn open(path: &Path) -> anyhow::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).with_context(|| {
        format!(
            "opening {}: does the user have the rights for the cluster?",
            path.display()
        )
    })
}

/// Whether the open file is the one that the path names now.
fn is_at(file: &File, path: &Path) -> anyhow::Result<bool> {
    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const NO_WAIT: LockOptions = LockOptions {
        no_wait: true,
        holder: None,
    };

    fn acquire(path: &Path, options: LockOptions) -> anyhow::Result<ClusterLock> {
        ClusterLock::acquire_at(path, options, |_| {})
    }

    #[test]
    fn the_second_is_rejected_with_the_name_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = acquire(&path, NO_WAIT).unwrap();
        let error = acquire(&path, NO_WAIT).unwrap_err().to_string();
        for words in [
            &format!("process {} has used", std::process::id()),
            "since ",
            "cargo e2e",
            "without --no-wait",
        ] {
            assert!(error.contains(words), "{error}");
        }
        drop(first.clone());
        assert!(acquire(&path, NO_WAIT).is_err(), "a clone is the same lock");
        drop(first);
        acquire(&path, NO_WAIT).unwrap();
    }

    #[test]
    fn the_second_waits_and_reports_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = acquire(&path, NO_WAIT).unwrap();
        let (sender, reports) = mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                ClusterLock::acquire_at(&path, LockOptions::default(), |holder| {
                    sender.send(holder.to_owned()).unwrap();
                })
            });
            let holder = reports.recv().unwrap();
            assert!(holder.contains("has used the cluster since"), "{holder}");
            // As `down` does: the file that the second waits for is no longer the one that others lock.
            fs::remove_file(&path).unwrap();
            drop(first);
            let _second = second.join().unwrap().unwrap();
            assert!(acquire(&path, NO_WAIT).is_err());
        });
    }

    #[test]
    fn a_command_inside_exec_shares_the_lock_of_its_caller() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _first = acquire(&path, NO_WAIT).unwrap();
        let inside = LockOptions {
            holder: Some(std::process::id().cast_signed()),
            ..NO_WAIT
        };
        assert!(acquire(&path, inside).unwrap().file.is_none());
        let other = LockOptions {
            holder: Some(1),
            ..NO_WAIT
        };
        assert!(acquire(&path, other).is_err());
    }
}
