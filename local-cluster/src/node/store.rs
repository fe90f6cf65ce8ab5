//! Where the node keeps large, short-lived data: images, the files of containers, the database of etcd. In memory if the
//! machine has plenty, since starting and removing the cluster then takes seconds; otherwise on the disk.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::command;

/// Memory that must be available, in KiB: the data is about 1 GiB, and builds and tests next to the cluster need memory
/// too.
const PLENTY: u64 = 8 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Store {
    /// A tmpfs in the namespaces of the node.
    Memory,
    /// The folder of the cluster.
    Disk,
    /// The folder of the cluster, which is on an overlay, as in a container.
    Overlay,
}

impl Store {
    /// `state` is the folder of the cluster.
    pub(crate) fn choose(state: &Path) -> anyhow::Result<Self> {
        if available(&fs::read_to_string("/proc/meminfo")?).is_some_and(|memory| memory >= PLENTY) {
            return Ok(Self::Memory);
        }
        let mut stat = Command::new("stat");
        let kind = command::output(stat.args(["--file-system", "--format=%T"]).arg(state))?;
        Ok(if kind.trim() == "overlayfs" {
            Self::Overlay
        } else {
            Self::Disk
        })
    }

    /// The snapshotter of containerd. An overlay cannot be on another overlay; files are copied then.
    pub(crate) fn snapshotter(self) -> &'static str {
        match self {
            Self::Memory | Self::Disk => "overlayfs",
            Self::Overlay => "native",
        }
    }
}

/// `MemAvailable` of `/proc/meminfo`, in KiB.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read() {
        assert_eq!(available("MemTotal:  100 kB\nMemAvailable:   42 kB\n"), Some(42));
        assert_eq!(available("MemTotal:  100 kB\n"), None);
    }
}
