//! The control groups of the node's pods: one subtree, created before the kubelet starts and removed after the namespaces
//! have ended. It is separate from that of any other kubelet on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// The name of the subtree in each hierarchy.
pub(crate) const ROOT: &str = "pgpool-e2e";

/// The CPU weight of all pods together, in the units of each version of control groups. With the default weight, a compiler
/// with ten threads would leave the whole node a tenth of a core.
const WEIGHT: [(&str, &str); 2] = [("cpu.shares", "32768"), ("cpu.weight", "3200")];

/// Time for a group to become empty after its processes are killed.
const EMPTY: Duration = Duration::from_secs(10);

pub(crate) fn create() -> anyhow::Result<()> {
    for hierarchy in hierarchies()? {
        let root = hierarchy.path.join(ROOT);
        fs::create_dir_all(&root).with_context(|| format!("creating {}", root.display()))?;
        if hierarchy.unified {
            let available = fs::read_to_string(hierarchy.path.join("cgroup.controllers"))?;
            for controller in available.split_whitespace() {
                // One by one, since a single error would reject all. systemd has enabled them on most machines, and the
                // kubelet reports a missing one.
                let control = hierarchy.path.join("cgroup.subtree_control");
                let _ = fs::write(control, format!("+{controller}"));
            }
        } else if hierarchy.path.join("cpuset.cpus").exists() {
            // A new group of this hierarchy has no processors and no memory until they are set.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let value = fs::read_to_string(hierarchy.path.join(file))?;
                fs::write(root.join(file), value.trim())?;
            }
        }
        for (file, weight) in WEIGHT {
            if root.join(file).exists() {
                fs::write(root.join(file), weight)
                    .with_context(|| format!("writing {}", root.join(file).display()))?;
            }
        }
    }
    Ok(())
}

/// Removes the subtree after its processes were killed.
pub(crate) fn remove() -> anyhow::Result<()> {
    let start = Instant::now();
    for hierarchy in hierarchies()? {
        let root = hierarchy.path.join(ROOT);
        while root.exists() {
            if let Err(error) = remove_tree(&root)
                && start.elapsed() > EMPTY
            {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

/// The roots of the subtree that exist.
pub(crate) fn left() -> anyhow::Result<Vec<PathBuf>> {
    let roots = hierarchies()?
        .into_iter()
        .map(|hierarchy| hierarchy.path.join(ROOT));
    Ok(roots.filter(|root| root.exists()).collect())
}

/// Children first: a group with children cannot be removed.
fn remove_tree(group: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group).with_context(|| format!("removing {}", group.display()))
}

#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    path: PathBuf,
    unified: bool,
}

fn hierarchies() -> anyhow::Result<Vec<Hierarchy>> {
    Ok(parse(&fs::read_to_string("/proc/self/mounts")?))
}

fn parse(mounts: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(path), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        if kind == "cgroup" || kind == "cgroup2" {
            let hierarchy = Hierarchy {
                path: PathBuf::from(path),
                unified: kind == "cgroup2",
            };
            if !found.contains(&hierarchy) {
                found.push(hierarchy);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let found = parse(mounts);
        assert_eq!(found.len(), 2);
        assert!(!found[0].unified && found[1].unified);
        assert_eq!(found[0].path, Path::new("/sys/fs/cgroup/cpu"));
    }
}
