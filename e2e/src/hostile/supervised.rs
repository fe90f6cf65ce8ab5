//! One operator that is restarted again and again, with all that is known of it from outside.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use local_cluster::control_plane::ControlPlane;
use local_cluster::wait;
use tokio::task::JoinHandle;

use crate::namespace::operator_process::{Operator, OperatorArgs};
use crate::namespace::scrape;

use super::process::{self, Usage, Watch};

/// Time for an operator to end by itself; afterwards it is killed, as the kubelet does.
const GRACE: Duration = Duration::from_secs(10);

/// Time for one answer of a probe, as in the charts.
const ANSWER: Duration = Duration::from_secs(5);

const BETWEEN_PROBES: Duration = Duration::from_millis(500);

pub(crate) struct Supervised {
    pub(crate) name: &'static str,
    operator: Operator,
    /// What its container may use, in bytes, as the chart says.
    pub(crate) memory_limit: u64,
    watch: Watch,
    liveness: Liveness,
    /// What the processes before this one used.
    before: Usage,
    /// How much of the log has been read.
    read: u64,
}

impl Supervised {
    pub(super) async fn start(
        plane: &Arc<ControlPlane>,
        name: &'static str,
        plan: OperatorArgs,
        memory_limit: u64,
    ) -> anyhow::Result<Self> {
        let operator = Operator::start(plane, name, plan).await?;
        Ok(Self {
            name,
            memory_limit,
            watch: Watch::start(operator.pid()?),
            liveness: Liveness::start(operator.admin().to_string()),
            operator,
            before: Usage::default(),
            read: 0,
        })
    }

    /// Fails with the end of its log if the process has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.operator.check()
    }

    /// Ends the process and starts it again, without waiting for it.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.operator.end(GRACE)?;
        self.before = self.usage();
        self.operator.begin()?;
        self.watch = Watch::start(self.operator.pid()?);
        Ok(())
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self, limit: Duration) -> anyhow::Result<()> {
        let address = self.operator.admin().to_string();
        let operator = &mut self.operator;
        wait::until(&format!("{} is ready", self.name), limit, || {
            let alive = operator.check();
            let address = &address;
            async move {
                alive?;
                tokio::time::timeout(ANSWER, scrape::get(address, "/readyz")).await??;
                Ok(())
            }
        })
        .await?;
        self.liveness = Liveness::start(address);
        Ok(())
    }

    /// What its processes used since [`Self::forget`].
    pub(super) fn usage(&self) -> Usage {
        let now = self.watch.usage();
        Usage {
            peak: self.before.peak.max(now.peak),
            processor_seconds: self.before.processor_seconds + now.processor_seconds,
            open_files: self.before.open_files.max(now.open_files),
        }
    }

    /// The largest memory of its own since its start, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.watch.usage().peak
    }

    /// Its memory now, in bytes; `None` when it has ended.
    pub(crate) fn own_memory(&self) -> Option<u64> {
        process::own_memory_of(self.operator.pid().ok()?)
    }

    /// The longest time without an answer of `/livez` since [`Self::forget`].
    pub(super) fn silence(&self) -> Duration {
        self.liveness.longest()
    }

    /// Begins to count anew: an attack is over.
    pub(super) fn forget(&mut self) -> anyhow::Result<()> {
        let used = self.watch.usage();
        self.watch = Watch::start(self.operator.pid()?);
        // The kernel counts the time of a process from its start.
        self.before = Usage {
            processor_seconds: -used.processor_seconds,
            ..Usage::default()
        };
        self.liveness = Liveness::start(self.operator.admin().to_string());
        self.output()?;
        Ok(())
    }

    /// What it has logged since the last call.
    pub(super) fn output(&mut self) -> anyhow::Result<String> {
        let path = self.operator.log();
        let mut file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        self.read += bytes.len() as u64;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) async fn metrics(&self) -> anyhow::Result<String> {
        let address = self.operator.admin().to_string();
        tokio::time::timeout(ANSWER, scrape::get(&address, "/metrics"))
            .await
            .with_context(|| format!("{} has no metrics", self.name))?
    }
}

/// Asks `/livez` again and again.
struct Liveness {
    longest: Arc<Mutex<Duration>>,
    task: JoinHandle<()>,
}

impl Liveness {
    fn start(address: String) -> Self {
        let longest = Arc::<Mutex<Duration>>::default();
        let task = tokio::spawn({
            let longest = Arc::clone(&longest);
            async move {
                let mut last = Instant::now();
                loop {
                    let answer = tokio::time::timeout(ANSWER, scrape::get(&address, "/livez")).await;
                    if matches!(answer, Ok(Ok(_))) {
                        last = Instant::now();
                    }
                    record(&longest, last.elapsed());
                    tokio::time::sleep(BETWEEN_PROBES).await;
                }
            }
        });
        Self { longest, task }
    }

    fn longest(&self) -> Duration {
        *self.longest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn record(longest: &Mutex<Duration>, silence: Duration) {
    let mut longest = longest.lock().unwrap_or_else(PoisonError::into_inner);
    *longest = longest.max(silence);
}

impl Drop for Liveness {
    fn drop(&mut self) {
        self.task.abort();
    }
}
