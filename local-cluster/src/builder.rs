//! What every build needs: the cache for its results and logs, and the display.

use std::process::Command;

use crate::cache::Cache;
use crate::command::run_logged;
use crate::progress::Progress;

#[derive(Clone)]
pub struct Builder {
    pub cache: Cache,
    pub progress: Progress,
}

impl Builder {
    /// Runs `command` as a step called `title`, with its output in the log called `log`.
    pub fn run(&self, title: &str, log: &str, command: &mut Command) -> anyhow::Result<()> {
        let step = self.progress.step(title);
        run_logged(command, &self.cache.log(log)?, |line| step.note(line.trim()))?;
        step.done();
        Ok(())
    }
}
