//! What a process uses, from `/proc`.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

/// Time between two looks at a process.
const INTERVAL: Duration = Duration::from_millis(100);

/// Clock ticks in a second, as the kernel reports them to programs on every architecture that Kubernetes runs on.
const TICKS: f64 = 100.0;

/// What a process has used, seen from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// The largest memory that is its own, in bytes: without the pages of its program, which a debug build has many of.
    pub(super) peak: u64,
    pub(super) processor_seconds: f64,
    pub(super) open_files: usize,
}

impl Usage {
    fn include(&mut self, now: Self) {
        self.peak = self.peak.max(now.peak);
        self.processor_seconds = self.processor_seconds.max(now.processor_seconds);
        self.open_files = self.open_files.max(now.open_files);
    }
}

/// Looks at a process as long as the value exists.
pub(super) struct Watch {
    seen: Arc<Mutex<Usage>>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(pid: i32) -> Self {
        let seen = Arc::<Mutex<Usage>>::default();
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Some(now) = read(pid) {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).include(now);
                    tokio::time::sleep(INTERVAL).await;
                }
            }
        });
        Self { seen, task }
    }

    pub(super) fn usage(&self) -> Usage {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `None` when the process has ended.
fn read(pid: i32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let open_files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Some(Usage {
        peak: own_memory(&status)?,
        processor_seconds: processor_seconds(&stat)?,
        open_files,
    })
}

/// The memory that is a process's own now, in bytes; `None` when it has ended.
pub(super) fn own_memory_of(pid: i32) -> Option<u64> {
    own_memory(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn own_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn processor_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses, and may itself contain parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_time_are_read() {
        assert_eq!(
            own_memory("VmRSS:\t  9 kB\nRssAnon:\t    2048 kB\n"),
            Some(2 * 1024 * 1024)
        );
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 100 0 0";
        assert_eq!(processor_seconds(stat), Some(2.0));
    }

    #[test]
    fn a_process_that_ended_uses_nothing() {
        assert_eq!(read(i32::MAX), None);
        assert!(read(std::process::id().cast_signed()).unwrap().peak > 0);
    }
}
