//! The namespaces that the node lives in: network, mounts and processes.
//!
//! They are held by one process outside, the anchor, whose child is the first process inside. Killing the
//! anchor ends that child, and with it the kernel ends every process inside, containers too; mounts and
//! network go with the last of them. So there is nothing to take down one by one and nothing to forget.
//!
//! The network has no uplink: whatever runs inside reaches the node and its pods, nothing else. A program
//! that is to talk to the cluster enters the network and keeps the files of the machine: other programs
//! through `nsenter`, this process by moving the threads of one runtime.

use std::fs::{self, File};
use std::future::Future;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::store::Store;
use super::{ADDRESS, settings};
use crate::command::{self, PATH};
use crate::process::{Recorded, redirect};

/// Time for all processes inside to be gone; the kernel kills them, but a slow disk may hold one up.
const END: Duration = Duration::from_secs(30);

/// A set of namespaces in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Namespaces {
    anchor: Recorded,
    first: Recorded,
}

impl Namespaces {
    /// Makes the namespaces and furnishes them. `state` is the folder of the cluster.
    pub fn create(state: &Path, store: Store) -> anyhow::Result<Self> {
        let log = state.join("logs/namespaces.log");
        let mut unshare = Command::new("unshare");
        // Mounts of the machine still come and go inside, so that no file system is held busy from there.
        unshare
            .args([
                "--net",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child=KILL",
                "--mount-proc",
            ])
            .args(["--propagation", "slave", "catatonit", "-P"])
            .process_group(0);
        daemon_environment(&mut unshare);
        let anchor = redirect(&mut unshare, &log)?
            .spawn()
            .context("starting unshare")?;
        let anchor = Recorded::of(anchor.id().cast_signed())?;
        let first = match first_child(anchor) {
            Ok(first) => first,
            Err(error) => {
                anchor.signal(Signal::KILL)?;
                return Err(error.context(command::tail(&log)));
            }
        };
        let namespaces = Self { anchor, first };
        let furnished = namespaces.furnish(state, store);
        if furnished.is_err() {
            namespaces.destroy()?;
        }
        furnished.map(|()| namespaces)
    }

    /// Whether they are still there.
    #[must_use]
    pub fn alive(&self) -> bool {
        self.anchor.alive() && self.first.alive()
    }

    /// A command that runs as a part of the node: its network, mounts and processes.
    #[must_use]
    pub fn node_command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.link("net").display()))
            .arg(format!("--mount={}", self.link("mnt").display()))
            .arg(format!("--pid={}", self.link("pid_for_children").display()))
            .arg("--")
            .arg(program);
        daemon_environment(&mut command);
        command
    }

    /// A command of the machine that runs in the network of the cluster.
    #[must_use]
    pub fn network_command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.link("net").display()))
            .arg("--")
            .arg(program);
        command
    }

    /// The same, with the names of Services resolved by `resolver`, a file like `/etc/resolv.conf`.
    #[must_use]
    pub fn named_command(&self, program: &Path, resolver: &Path) -> Command {
        let mut command = self.network_command(Path::new("unshare"));
        command
            .args(["--mount", "--propagation", "slave", "/bin/sh", "-c"])
            // A machine without the file has nothing to put the other one over, and no names then.
            .arg("mount --bind \"$0\" /etc/resolv.conf 2>/dev/null; exec \"$@\"")
            .arg(resolver)
            .arg(program);
        command
    }

    /// Starts a daemon of the node with its output in `<state>/logs/<name>.log`. It lives on when this
    /// process ends. The record is that of the `nsenter` around it, which ends when the daemon does.
    pub fn daemon(
        &self,
        name: &str,
        program: &Path,
        arguments: &[String],
        state: &Path,
    ) -> anyhow::Result<Recorded> {
        let mut command = self.node_command(program);
        // Its own group, so that Ctrl-C on a terminal does not end the cluster.
        command.args(arguments).process_group(0);
        let log = state.join("logs").join(format!("{name}.log"));
        let child = redirect(&mut command, &log)?
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Recorded::of(child.id().cast_signed()).with_context(|| command::tail(&log))
    }

    /// Runs a future with every socket that it opens in the network of the cluster.
    ///
    /// Only the threads of this call are moved there; programs that it starts are there too.
    pub fn run<T: Send>(&self, future: impl Future<Output = anyhow::Result<T>> + Send) -> anyhow::Result<T> {
        let link = self.link("net");
        let network = File::open(&link).with_context(|| format!("opening {}", link.display()))?;
        let for_workers = network.try_clone()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .on_thread_start(move || {
                // A worker that stayed outside would only fail to connect, which the caller then sees.
                if let Err(error) = enter(&for_workers) {
                    eprintln!("entering the network of the cluster: {error}");
                }
            })
            .build()?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter(&network).context("entering the network of the cluster")?;
                runtime.block_on(future)
            });
            inside
                .join()
                .unwrap_or_else(|_| bail!("the work inside the cluster's network panicked"))
        })
    }

    /// Ends every process inside and waits until they are gone.
    pub fn destroy(&self) -> anyhow::Result<()> {
        // The anchor would take the first process along; both are told so that neither is waited for in vain
        // should the other have been killed by somebody before.
        self.anchor.signal(Signal::KILL)?;
        self.first.signal(Signal::KILL)?;
        self.anchor.wait_end(END)?;
        self.first.wait_end(END)
    }

    fn link(&self, kind: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/{kind}", self.anchor.pid()))
    }

    /// Gives the namespaces their network and their own view of the folders that daemons insist on.
    fn furnish(&self, state: &Path, store: Store) -> anyhow::Result<()> {
        for folder in ["fs", "pod-logs", settings::DATA] {
            fs::create_dir_all(state.join(folder))?;
        }
        let mut script = self.node_command(Path::new("/bin/sh"));
        script.args(["-ec", &settings::furnish(state, ADDRESS, store)]);
        command::output(&mut script).context("furnishing the namespaces of the node")?;
        Ok(())
    }
}

fn enter(network: &File) -> std::io::Result<()> {
    Ok(move_into_link_name_space(
        network.as_fd(),
        Some(LinkNameSpaceType::Network),
    )?)
}

/// Daemons see nothing of the caller's environment: what works here works on another machine.
fn daemon_environment(command: &mut Command) {
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .current_dir("/");
}

/// Waits for the first process inside: when it is there, so are the namespaces.
fn first_child(anchor: Recorded) -> anyhow::Result<Recorded> {
    let start = Instant::now();
    loop {
        if let [first] = anchor.children()?[..] {
            // Until it runs its own program it is a copy of `unshare` that still sets mounts up.
            if fs::read_to_string(format!("/proc/{}/comm", first.pid()))?.trim() == "catatonit" {
                return Ok(first);
            }
        }
        if !anchor.alive() || start.elapsed() > END {
            bail!("namespaces cannot be made");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
