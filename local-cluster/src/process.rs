//! Processes that outlive the call that starts them.
//!
//! A [`Child`] ends when its value is dropped; a [`Recorded`] process continues and is found again by a later command.
//! Signals are sent only to a process with the recorded start time, never to another one that has the same PID by now.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::command::tail;
use crate::wait::Hopeless;

/// Time between two checks of a process that is about to end.
const POLL: Duration = Duration::from_millis(10);

/// A process, distinguished from any other that ever had its PID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    pid: i32,
    /// Clock ticks between the boot of the machine and the start of the process.
    started: u64,
}

impl Recorded {
    pub fn of(pid: i32) -> anyhow::Result<Self> {
        let stat = Stat::read(pid).with_context(|| format!("process {pid} has ended"))?;
        Ok(Self {
            pid,
            started: stat.started,
        })
    }

    pub(crate) fn load(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        fs::write(path, serde_json::to_string(self)?).with_context(|| format!("writing {}", path.display()))
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether this process runs; a zombie does not.
    pub(crate) fn alive(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.started == self.started && !stat.ended)
    }

    /// Its running child processes.
    pub(crate) fn children(&self) -> anyhow::Result<Vec<Self>> {
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(stat) = Stat::read(pid).filter(|stat| stat.parent == self.pid && !stat.ended) {
                children.push(Self {
                    pid,
                    started: stat.started,
                });
            }
        }
        Ok(children)
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            bail!("{} is not a PID", self.pid)
        };
        // The descriptor keeps referring to the process that had the PID when it was opened. The start time is checked
        // afterwards, so no other process can take its place in between.
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) if self.alive() => match pidfd_send_signal(&process, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err(error).with_context(|| format!("signaling process {}", self.pid)),
            },
            Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("finding process {}", self.pid)),
        }
    }

    /// Waits until it ends; an error if it still runs after `limit`.
    pub(crate) fn wait_end(&self, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.alive() {
            if start.elapsed() > limit {
                bail!("process {} has not ended after {limit:?}", self.pid);
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// Fields of `/proc/PID/stat`.
struct Stat {
    parent: i32,
    started: u64,
    ended: bool,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, and may itself contain parentheses.
        let (_, rest) = text.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self {
            parent,
            started,
            ended: matches!(state, "Z" | "X"),
        })
    }
}

/// A process that ends when the value is dropped.
pub struct Child {
    name: String,
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `command` and appends its output to `<logs>/<name>.log`.
    pub fn spawn(name: &str, command: &mut Command, logs: &Path) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let process = redirect(command, &log)?
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            process,
            log,
        })
    }

    pub fn record(&self) -> anyhow::Result<Recorded> {
        Recorded::of(self.process.id().cast_signed())
    }

    /// Fails with the end of its log if the process has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => {
                bail!(Hopeless(format!(
                    "{} ended, {status}:\n{}",
                    self.name,
                    tail(&self.log)
                )))
            }
        }
    }

    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.record()?.signal(signal)
    }

    /// Sends SIGTERM; kills it if it still runs after `grace`.
    pub fn stop(mut self, grace: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let start = Instant::now();
        while start.elapsed() < grace {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
        self.process.kill()?;
        Ok(self.process.wait()?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Closes the stdin of `command` and appends its stdout and stderr to `log`.
pub(crate) fn redirect<'a>(command: &'a mut Command, log: &Path) -> anyhow::Result<&'a mut Command> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("opening {}", log.display()))?;
    Ok(command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_may_contain_parentheses() {
        let mut fields = vec!["0"; 50];
        fields[0] = "S";
        fields[1] = "7";
        fields[19] = "1234";
        let stat = Stat::parse(&format!("42 (a) Z (b) {}", fields.join(" "))).unwrap();
        assert_eq!((stat.parent, stat.started, stat.ended), (7, 1234, false));
    }

    #[test]
    fn a_child_ends_when_it_is_dropped() {
        let logs = tempfile::tempdir().unwrap();
        let child = Child::spawn("sleep", Command::new("sleep").arg("60"), logs.path()).unwrap();
        let record = child.record().unwrap();
        assert!(record.alive());
        drop(child);
        assert!(!record.alive());
        record.signal(Signal::KILL).unwrap();
    }

    #[test]
    fn another_process_with_the_same_pid_gets_no_signal() {
        let logs = tempfile::tempdir().unwrap();
        let mut child = Child::spawn("sleep", Command::new("sleep").arg("60"), logs.path()).unwrap();
        let mut other = child.record().unwrap();
        other.started += 1;
        other.signal(Signal::KILL).unwrap();
        assert!(!other.alive());
        child.check().unwrap();
    }

    #[test]
    fn an_early_end_shows_the_log() {
        let logs = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let mut child = Child::spawn("sh", command.args(["-c", "echo hello; exit 4"]), logs.path()).unwrap();
        child.record().unwrap().wait_end(Duration::from_secs(10)).unwrap();
        let error = child.check().unwrap_err().to_string();
        assert!(
            error.contains("exit status: 4") && error.contains("hello"),
            "{error}"
        );
    }

    #[test]
    fn children_are_found() {
        let logs = tempfile::tempdir().unwrap();
        let child = Child::spawn("sleep", Command::new("sleep").arg("60"), logs.path()).unwrap();
        let me = Recorded::of(std::process::id().cast_signed()).unwrap();
        assert!(me.children().unwrap().contains(&child.record().unwrap()));
    }
}
