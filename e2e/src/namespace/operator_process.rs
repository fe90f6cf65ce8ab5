//! An operator as a process of this machine, beside a control plane without nodes: it can be started, killed
//! and started again within a test.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use local_cluster::control_plane::{ControlPlane, free_port};
use local_cluster::process::Child;
use local_cluster::wait;

use super::SOON;

/// Time for an operator to end on a signal.
const GRACE: Duration = Duration::from_secs(20);

const LINES: usize = 25;

#[derive(Clone, Debug)]
pub(crate) struct OperatorArgs {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl OperatorArgs {
    /// The program with a kubeconfig, and no lease.
    pub(crate) fn new(program: &Path, kubeconfig: &Path) -> Self {
        let plan = Self {
            program: program.to_owned(),
            arguments: vec!["run".to_owned()],
            environment: Vec::new(),
        };
        let kubeconfig = kubeconfig.display().to_string();
        let nowhere = kubeconfig.clone() + ".no-channel";
        plan.with("kubeconfig", &kubeconfig)
            .with("channel-tls-dir", &nowhere)
            .flag("no-lease")
    }

    pub(crate) fn within(self, namespace: &str) -> Self {
        self.with("watch-namespaces", namespace)
    }

    /// The same with a lease of the operator's name in a namespace.
    pub(crate) fn with_lease(mut self, namespace: &str, identity: &str, seconds: u32) -> Self {
        self.arguments.retain(|argument| argument != "--no-lease");
        self.with("lease-namespace", namespace)
            .with("lease-identity", identity)
            .with("lease-duration", &format!("{seconds}s"))
            .with("lease-renew", &format!("{}s", seconds / 2))
    }

    /// The same with another value for an option.
    pub(crate) fn with(mut self, option: &str, value: &str) -> Self {
        let prefix = format!("--{option}=");
        self.arguments.retain(|argument| !argument.starts_with(&prefix));
        self.arguments.push(prefix + value);
        self
    }

    /// The same with variables of the environment, which arguments override.
    pub(crate) fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    fn flag(mut self, flag: &str) -> Self {
        self.arguments.push(format!("--{flag}"));
        self
    }
}

/// A running operator; it ends with the value.
pub(crate) struct Operator {
    // Ends before the folder of its log does.
    child: Option<Child>,
    name: String,
    plan: OperatorArgs,
    admin: SocketAddr,
    plane: Arc<ControlPlane>,
}

impl Operator {
    /// Starts one and waits until it is ready. `name` is that of its log and must be its own.
    pub(crate) async fn start(
        plane: &Arc<ControlPlane>,
        name: &str,
        plan: OperatorArgs,
    ) -> anyhow::Result<Self> {
        let mut operator = Self::launch(plane, name, plan)?;
        operator.ready().await?;
        Ok(operator)
    }

    pub(crate) fn launch(plane: &Arc<ControlPlane>, name: &str, plan: OperatorArgs) -> anyhow::Result<Self> {
        let admin = free_address()?;
        let plan = if plan
            .arguments
            .iter()
            .any(|argument| argument.starts_with("--channel-address="))
        {
            plan
        } else {
            plan.with("channel-address", "127.0.0.1:0")
        };
        let plan = plan.with("admin-address", &admin.to_string());
        let mut operator = Self {
            child: None,
            name: name.to_owned(),
            plan,
            admin,
            plane: Arc::clone(plane),
        };
        operator.begin()?;
        Ok(operator)
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let what = format!("{} is ready", self.name);
        let (program, admin) = (self.plan.program.clone(), self.admin.to_string());
        wait::until(&what, SOON, || {
            let answer = self.check().and_then(|()| probe(&program, &admin));
            async { answer }
        })
        .await
    }

    /// Kills it at once, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.child = None;
    }

    pub(crate) fn begin(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.plan.program);
        command.args(&self.plan.arguments);
        command.envs(self.plan.environment.iter().cloned());
        self.child = Some(self.plane.spawn(&self.name, &mut command)?);
        Ok(())
    }

    /// The process, as long as it runs.
    pub(crate) fn pid(&self) -> anyhow::Result<i32> {
        Ok(self.child.as_ref().context("it was killed")?.record()?.pid())
    }

    /// Where it serves health and metrics.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The file with all that it has logged.
    pub(crate) fn log(&self) -> PathBuf {
        self.plane.logs().join(format!("{}.log", self.name))
    }

    /// Ends the process, by force if it still runs after `grace`. It may have ended already.
    pub(crate) fn end(&mut self, grace: Duration) -> anyhow::Result<()> {
        if self.check().is_err() {
            self.child = None;
        }
        self.child
            .take()
            .map_or(Ok(()), |child| child.stop(grace).map(drop))
    }

    /// Stops the process, and fails unless it exits in time and without an error.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let child = self.child.take().context("it was killed")?;
        let status = child.stop(GRACE)?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.child.as_mut().context("it was killed")?.check()
    }

    /// The last lines of its log that hold `word`.
    pub(crate) fn log_lines(&self, word: &str) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(word)).collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        format!("{} logged last:\n{}", self.name, last.join("\n"))
    }
}

fn probe(program: &Path, admin: &str) -> anyhow::Result<()> {
    let probe = Command::new(program)
        .args(["probe", "readyz", "--admin-address", admin])
        .output()?;
    ensure!(
        probe.status.success(),
        "{}",
        String::from_utf8_lossy(&probe.stdout).trim()
    );
    Ok(())
}

/// Adds the logs of operators to a failure, below what failed.
pub(crate) fn with_logs<T>(result: anyhow::Result<T>, output: impl FnOnce() -> String) -> anyhow::Result<T> {
    result.map_err(|error| anyhow::anyhow!("{error:#}\n{}", output()))
}

/// An address of this machine that nobody has just now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Ok(SocketAddr::new(address, free_port(address)?))
}
