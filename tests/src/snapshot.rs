//! What is on the machine, to compare before and after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::cgroup::{hierarchies, subdirectories};
use crate::error::{Error, Result};
use crate::{bpffs, mounts, netns, sweep};

/// Namespaces, mounts, pins, cgroups and processes at one moment, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    lines: BTreeSet<String>,
}

impl Snapshot {
    /// Takes one.
    ///
    /// Of the processes only those are listed whose program is called `muster` or that are in
    /// another network namespace than the caller: the rest of the machine goes on meanwhile.
    ///
    /// # Errors
    /// [`Error::System`] when something can not be read.
    pub fn take() -> Result<Self> {
        let mut lines = BTreeSet::new();
        lines.extend(netns::names("")?.into_iter().map(|name| format!("netns {name}")));
        for mount in mounts::all()? {
            lines.insert(format!("mount {} {}", mount.target.display(), mount.kind));
        }
        tree(Path::new(bpffs::DIRECTORY), "bpffs", &mut lines)?;
        for hierarchy in hierarchies()? {
            tree(&hierarchy, "cgroup", &mut lines)?;
        }
        processes(&mut lines)?;
        Ok(Self { lines })
    }

    /// Only what belongs to the cluster `id`: its name is in every line.
    #[must_use]
    pub fn of_cluster(&self, id: &str) -> Self {
        let names = [format!("{id}-"), sweep::daemons(id)];
        let ours = |line: &&String| names.iter().any(|name| line.contains(name.as_str()));
        Self { lines: self.lines.iter().filter(ours).cloned().collect() }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What has come (`+`) and gone (`-`) between `self` and `later`.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let come = later.lines.difference(&self.lines).map(|line| format!("+ {line}"));
        let gone = self.lines.difference(&later.lines).map(|line| format!("- {line}"));
        come.chain(gone).collect()
    }
}

fn tree(directory: &Path, kind: &str, lines: &mut BTreeSet<String>) -> Result<()> {
    for child in subdirectories(directory)? {
        lines.insert(format!("{kind} {}", child.display()));
        tree(&child, kind, lines)?;
    }
    Ok(())
}

fn processes(lines: &mut BTreeSet<String>) -> Result<()> {
    let own = fs::read_link("/proc/self/ns/net").map_err(Error::system("readlink", "ns/net"))?;
    let entries = fs::read_dir("/proc").map_err(Error::system("opendir", "/proc"))?;
    for entry in entries.filter_map(std::result::Result::ok) {
        let (directory, name) = (entry.path(), entry.file_name());
        let pid = name.to_string_lossy();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // Whatever ends while it is looked at is not there.
        let Ok(program) = fs::read_to_string(directory.join("comm")) else { continue };
        let Ok(netns) = fs::read_link(directory.join("ns/net")) else { continue };
        if program.trim_end() == "muster" || netns != own {
            let cgroups = fs::read_to_string(directory.join("cgroup")).unwrap_or_default();
            let cgroup = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
            let (program, cgroup) = (program.trim_end(), cgroup.unwrap_or_default());
            lines.insert(format!("process {pid} {program} in {cgroup}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetNs;

    #[test]
    fn a_namespace_comes_and_goes() {
        if !crate::privileged() {
            return;
        }
        let name = format!("harness{}snap", std::process::id());
        let line = format!("netns {name}");
        let before = Snapshot::take().unwrap();
        let namespace = NetNs::create(name).unwrap();
        let during = Snapshot::take().unwrap();
        namespace.delete().unwrap();
        let after = Snapshot::take().unwrap();
        assert!(before.changes(&during).contains(&format!("+ {line}")));
        assert!(during.changes(&after).contains(&format!("- {line}")));
        assert!(!before.changes(&after).iter().any(|change| change.ends_with(&line)));
    }
}
