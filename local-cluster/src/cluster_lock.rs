//! Who works with the local cluster: one command at a time, from whichever source tree and user it comes.
//!
//! There is one cluster on a machine, and a command from another tree replaces it when its programs differ.
//! So whoever brings it up, changes it or tests with it holds it until the end; the next one waits and says
//! for whom. Touches one file beside the folder of the cluster, which outlives that folder.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};

use crate::process::Recorded;
use crate::progress::{Elapsed, Progress};

/// The file whose lock is the hold.
pub const FILE: &str = "/var/cache/pgpool-e2e.lock";

/// Tells a command started by `exec` that its caller holds the cluster for it.
pub const HOLDER: &str = "PGPOOL_E2E_HOLDER";

/// Characters of a command that are shown.
const SHOWN: usize = 100;

/// What a command does when somebody else holds the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct LockOptions {
    /// It fails instead of waiting.
    pub no_wait: bool,
    /// The process that holds the cluster on behalf of this one.
    pub holder: Option<i32>,
}

/// The cluster is ours until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct ClusterLock {
    /// Absent where a caller holds it.
    lock: Option<Arc<File>>,
}

impl ClusterLock {
    /// Takes the hold; waits while somebody else has it, unless told otherwise.
    ///
    /// # Errors
    /// With [`LockOptions::no_wait`], who has it and what to do.
    pub fn take(options: LockOptions, progress: &Progress) -> anyhow::Result<Self> {
        Self::take_at(Path::new(FILE), options, &Holder::of_this_process()?, |holder| {
            progress.line(format_args!(
                "waiting: {holder} (--no-wait fails instead, --kubeconfig takes another cluster)"
            ));
        })
    }

    /// Takes the hold for a command that only looks, if nobody has it; otherwise returns who does.
    pub fn look() -> anyhow::Result<Result<Self, String>> {
        let taken = Self::attempt(Path::new(FILE), &Holder::of_this_process()?)?;
        Ok(taken.map_err(|file| told(&file)))
    }

    /// Lets the program that this process becomes keep the hold.
    pub fn pass_to(&self, command: &mut Command) -> anyhow::Result<()> {
        if let Some(lock) = &self.lock {
            fcntl_setfd(lock, FdFlags::empty()).context("passing the hold of the cluster on")?;
            command.env(HOLDER, std::process::id().to_string());
        }
        Ok(())
    }

    /// Removes the file with the hold, for a machine on which nothing is to be left.
    pub fn remove(self) -> anyhow::Result<()> {
        match self.lock {
            Some(_) => fs::remove_file(FILE).with_context(|| format!("removing {FILE}")),
            None => Ok(()),
        }
    }

    fn take_at(path: &Path, options: LockOptions, me: &Holder, tell: impl Fn(&str)) -> anyhow::Result<Self> {
        loop {
            let file = match Self::attempt(path, me)? {
                Ok(hold) => return Ok(hold),
                Err(file) if held_for_us(&file, options) => return Ok(Self { lock: None }),
                Err(file) => file,
            };
            if options.no_wait {
                bail!(
                    "{}: try again when that has ended, without --no-wait to wait for it, or with --kubeconfig for \
                     another cluster",
                    told(&file)
                );
            }
            tell(&told(&file));
            file.lock()
                .with_context(|| format!("waiting for {}", path.display()))?;
            if let Some(hold) = Self::sign(file, path, me)? {
                return Ok(hold);
            }
        }
    }

    /// Takes the hold, or returns the file that somebody else has locked.
    fn attempt(path: &Path, me: &Holder) -> anyhow::Result<Result<Self, File>> {
        loop {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Err(file)),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("locking {}", path.display()));
                }
            }
            if let Some(hold) = Self::sign(file, path, me)? {
                return Ok(Ok(hold));
            }
        }
    }

    /// Makes a locked file the hold, unless it is no longer the one that counts: one who took the cluster down has
    /// removed it, and the next has made another.
    fn sign(mut file: File, path: &Path, me: &Holder) -> anyhow::Result<Option<Self>> {
        if !is_at(&file, path)? {
            return Ok(None);
        }
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(serde_json::to_string(me)?.as_bytes())?;
        Ok(Some(Self {
            lock: Some(Arc::new(file)),
        }))
    }
}

/// What the holder writes about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Holder {
    process: Recorded,
    command: String,
    folder: PathBuf,
    since: Timestamp,
}

impl Holder {
    fn of_this_process() -> anyhow::Result<Self> {
        let words = std::env::args_os().skip(1);
        let command: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        Ok(Self {
            process: Recorded::of(std::process::id().cast_signed())?,
            command: format!("cargo e2e {}", command.join(" "))
                .chars()
                .take(SHOWN)
                .collect(),
            folder: std::env::current_dir().unwrap_or_default(),
            since: Timestamp::try_from(SystemTime::now())?,
        })
    }

    fn read(mut file: &File) -> Option<Self> {
        let mut text = String::new();
        file.rewind().ok()?;
        file.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            process,
            command,
            folder,
            since,
        } = self;
        let held = SystemTime::now()
            .duration_since((*since).into())
            .unwrap_or(Duration::ZERO);
        let left = if process.alive() {
            ""
        } else {
            ", or what it left running,"
        };
        write!(
            formatter,
            "process {}{left} holds the cluster since {} ({}): `{command}` in {}",
            process.pid(),
            since.strftime("%H:%M:%S UTC"),
            Elapsed(held),
            folder.display()
        )
    }
}

/// Who holds the lock of a file.
fn told(file: &File) -> String {
    Holder::read(file).map_or_else(
        || "somebody who has not said yet who it is holds the cluster".to_owned(),
        |holder| holder.to_string(),
    )
}

fn held_for_us(file: &File, options: LockOptions) -> bool {
    let holder = Holder::read(file).filter(|holder| holder.process.alive());
    holder.is_some_and(|holder| Some(holder.process.pid()) == options.holder)
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
        Err(error) => Err(error).with_context(|| format!("looking at {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn take(path: &Path, options: LockOptions) -> anyhow::Result<ClusterLock> {
        ClusterLock::take_at(path, options, &Holder::of_this_process().unwrap(), |_| {})
    }

    const NO_WAIT: LockOptions = LockOptions {
        no_wait: true,
        holder: None,
    };

    #[test]
    fn the_second_is_refused_with_the_name_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = take(&path, NO_WAIT).unwrap();
        let refusal = take(&path, NO_WAIT).unwrap_err().to_string();
        for words in [
            &format!("process {} holds", std::process::id()),
            "since ",
            "cargo e2e",
            "without --no-wait",
        ] {
            assert!(refusal.contains(words), "{refusal}");
        }
        drop(first.clone());
        assert!(take(&path, NO_WAIT).is_err(), "a clone is the same hold");
        drop(first);
        take(&path, NO_WAIT).unwrap();
    }

    #[test]
    fn the_second_waits_and_says_for_whom() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = take(&path, NO_WAIT).unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let me = Holder::of_this_process().unwrap();
                ClusterLock::take_at(&path, LockOptions::default(), &me, |holder| {
                    tell.send(holder.to_owned()).unwrap();
                })
            });
            let words = told.recv().unwrap();
            assert!(words.contains("holds the cluster since"), "{words}");
            // As `down` does: what the second waits for is no longer what others would take.
            fs::remove_file(&path).unwrap();
            drop(first);
            let _second = second.join().unwrap().unwrap();
            assert!(take(&path, NO_WAIT).is_err());
        });
    }

    #[test]
    fn a_command_inside_exec_shares_the_hold_of_its_caller() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _first = take(&path, NO_WAIT).unwrap();
        let inside = LockOptions {
            holder: Some(std::process::id().cast_signed()),
            ..NO_WAIT
        };
        assert!(take(&path, inside).unwrap().lock.is_none());
        let other = LockOptions {
            holder: Some(1),
            ..NO_WAIT
        };
        assert!(take(&path, other).is_err());
    }
}
