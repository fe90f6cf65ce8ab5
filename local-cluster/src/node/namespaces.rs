//! The namespaces of the node: network, mounts and processes.
//!
//! They are held by one process outside, the anchor, whose child is the first process inside. Killing the anchor ends that
//! child, and the kernel then ends every process inside, including containers; mounts and network end with the last one.
//! So nothing has to be taken down one by one, and nothing can be forgotten.
//!
//! The network has no uplink: processes inside reach the node and its pods, nothing else. A program that talks to the
//! cluster enters the network only and keeps the files of the machine: other programs through `nsenter`, this process by
//! moving the threads of one runtime.

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

/// Time for all processes inside to end after they are killed: a slow disk may delay one.
const END: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Namespaces {
    anchor: Recorded,
    first: Recorded,
}

impl Namespaces {
    /// Creates the namespaces with their network and mounts. `state` is the folder of the cluster.
    pub(crate) fn create(state: &Path, store: Store) -> anyhow::Result<Self> {
        let log = state.join("logs/namespaces.log");
        let mut unshare = Command::new("unshare");
        // Mounts and unmounts of the machine reach the inside, so that no file system is kept busy from there.
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
        let set_up = namespaces.set_up(state, store);
        if set_up.is_err() {
            namespaces.destroy()?;
        }
        set_up.map(|()| namespaces)
    }

    pub(crate) fn alive(&self) -> bool {
        self.anchor.alive() && self.first.alive()
    }

    /// A command that runs in all namespaces of the node.
    pub(crate) fn node_command(&self, program: &Path) -> Command {
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
    pub(crate) fn network_command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.link("net").display()))
            .arg("--")
            .arg(program);
        command
    }

    /// The same, with `resolver` in place of `/etc/resolv.conf`.
    pub(crate) fn named_command(&self, program: &Path, resolver: &Path) -> Command {
        let mut command = self.network_command(Path::new("unshare"));
        command
            .args(["--mount", "--propagation", "slave", "/bin/sh", "-c"])
            // A machine without the file has nothing to mount over, and then no names.
            .arg("mount --bind \"$0\" /etc/resolv.conf 2>/dev/null; exec \"$@\"")
            .arg(resolver)
            .arg(program);
        command
    }

    /// Starts a daemon of the node with its output in `<state>/logs/<name>.log`. It outlives this process. Returns the
    /// record of the `nsenter` around it, which ends when the daemon does.
    pub(crate) fn daemon(
        &self,
        name: &str,
        program: &Path,
        arguments: &[String],
        state: &Path,
    ) -> anyhow::Result<Recorded> {
        let mut command = self.node_command(program);
        // A process group of its own, so that Ctrl-C on a terminal does not end the cluster.
        command.args(arguments).process_group(0);
        let log = state.join("logs").join(format!("{name}.log"));
        let child = redirect(&mut command, &log)?
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Recorded::of(child.id().cast_signed()).with_context(|| command::tail(&log))
    }

    /// Runs a future on threads in the network of the cluster. Programs that it starts are there too.
    pub(crate) fn run<T: Send>(
        &self,
        future: impl Future<Output = anyhow::Result<T>> + Send,
    ) -> anyhow::Result<T> {
        let link = self.link("net");
        let network = File::open(&link).with_context(|| format!("opening {}", link.display()))?;
        let for_workers = network.try_clone()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .on_thread_start(move || {
                // A worker that stays outside fails to connect, which the caller reports.
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
                .unwrap_or_else(|_| bail!("a task inside the cluster's network namespace panicked"))
        })
    }

    /// Ends every process inside and waits until they have ended.
    pub(crate) fn destroy(&self) -> anyhow::Result<()> {
        // Ending the anchor ends the first process too, unless the anchor was killed earlier.
        self.anchor.signal(Signal::KILL)?;
        self.first.signal(Signal::KILL)?;
        self.anchor.wait_end(END)?;
        self.first.wait_end(END)
    }

    fn link(&self, kind: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/{kind}", self.anchor.pid()))
    }

    fn set_up(&self, state: &Path, store: Store) -> anyhow::Result<()> {
        for folder in ["fs", "pod-logs", settings::DATA] {
            fs::create_dir_all(state.join(folder))?;
        }
        let mut script = self.node_command(Path::new("/bin/sh"));
        script.args(["-ec", &settings::set_up(state, ADDRESS, store)]);
        command::output(&mut script).context("setting up the namespaces of the node")?;
        Ok(())
    }
}

fn enter(network: &File) -> std::io::Result<()> {
    Ok(move_into_link_name_space(
        network.as_fd(),
        Some(LinkNameSpaceType::Network),
    )?)
}

/// Daemons get nothing of the caller's environment, so that they run in the same way on every machine.
fn daemon_environment(command: &mut Command) {
    command
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", "/root")
        .current_dir("/");
}

/// Waits for the first process inside: when it runs, the namespaces exist.
fn first_child(anchor: Recorded) -> anyhow::Result<Recorded> {
    let start = Instant::now();
    loop {
        if let [first] = anchor.children()?[..] {
            // Before it runs its own program, it is a copy of `unshare` that still sets up mounts.
            if fs::read_to_string(format!("/proc/{}/comm", first.pid()))?.trim() == "catatonit" {
                return Ok(first);
            }
        }
        if !anchor.alive() || start.elapsed() > END {
            bail!("cannot create namespaces");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
