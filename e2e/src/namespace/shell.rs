//! A shell in a running pod: it runs a script and prints lines.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::AttachParams;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::task::JoinHandle;

use super::TestNamespace;

/// A shell at work. It ends when its script does; this value only listens.
pub(crate) struct Shell {
    lines: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Shell {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the end of the script, and returns all that it printed.
    pub(crate) async fn end(self) -> anyhow::Result<Vec<String>> {
        self.task.await??;
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(lines.clone())
    }
}

impl TestNamespace {
    /// Starts a shell in a container, and gives it a script whose last command ends it. Neither an argument nor the
    /// environment of the container: both can be read by others, and a script may hold a password.
    pub(crate) async fn begin(&self, pod: &str, container: &str, script: &str) -> anyhow::Result<Shell> {
        let parameters = AttachParams::default()
            .container(container)
            .stdin(true)
            .stderr(false);
        let mut attached = self.api::<Pod>().exec(pod, ["sh"], &parameters).await?;
        let mut input = attached.stdin().context("no way into the shell")?;
        let output = attached.stdout().context("no way out of the shell")?;
        input.write_all(script.as_bytes()).await?;
        input.flush().await?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (written, place) = (Arc::clone(&lines), format!("{pod}, container {container}"));
        let task = tokio::spawn(async move {
            // Held until the end: a shell without input ends.
            let _input = input;
            let mut output = BufReader::new(output).lines();
            while let Some(line) = output.next_line().await? {
                written.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
            attached
                .join()
                .await
                .with_context(|| format!("running a script in {place}"))
        });
        Ok(Shell { lines, task })
    }

    /// Runs a script in a container to its end.
    pub(crate) async fn shell(&self, pod: &str, container: &str, script: &str) -> anyhow::Result<String> {
        let lines = self.begin(pod, container, script).await?.end().await?;
        Ok(lines.join("\n"))
    }
}
