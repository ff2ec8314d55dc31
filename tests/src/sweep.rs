//! Removing what a cluster has on the machine, and telling what it left.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::cgroup::{self, Cgroup};
use crate::error::{Error, Result};
use crate::netns::{self, NetNs};
use crate::{bpffs, mounts};

/// The cgroup, in the v2 tree, of the masters and agents of the cluster `id`.
pub fn daemons(id: &str) -> String {
    format!("{DAEMONS}/{id}")
}

const DAEMONS: &str = "muster-clusters";

/// What agents of the cluster `id` still have in the kernel: containers' cgroups and the
/// processes in them, pins and mounts; a line each. Empty after agents have cleaned up.
///
/// # Errors
/// [`Error::System`] when a tree can not be read.
pub fn leftovers(id: &str, work: &Path) -> Result<Vec<String>> {
    let prefix = format!("{id}-");
    let mut found = Vec::new();
    for cgroup in cgroup::of_agents(&prefix)? {
        let processes = cgroup.processes()?;
        found.push(format!("cgroup {} with {processes:?}", cgroup.directory().display()));
    }
    found.extend(bpffs::pins(&prefix)?.iter().map(|path| format!("pins {}", path.display())));
    found.extend(mounts::below(work)?.iter().map(|path| format!("mount {}", path.display())));
    Ok(found)
}

/// Removes everything of the cluster `id`: processes, cgroups, pins, mounts, namespaces and its
/// directory. Idempotent.
///
/// # Errors
/// The first error; the rest is removed all the same.
pub fn everything(id: &str, work: &Path, unmount_bpffs: bool) -> Result<()> {
    let prefix = format!("{id}-");
    let steps = [
        processes(id),
        cgroups(&prefix),
        pins(&prefix),
        unmount_bpffs.then(bpffs::unmount_if_empty).transpose().map(drop),
        directory(work),
        namespaces(&prefix),
    ];
    steps.into_iter().collect()
}

fn processes(id: &str) -> Result<()> {
    let root = cgroup::unified()?;
    Cgroup::at(root.join(daemons(id))).remove()?;
    remove_if_empty(&root.join(DAEMONS))
}

fn cgroups(prefix: &str) -> Result<()> {
    for cgroup in cgroup::of_agents(prefix)? {
        cgroup.remove()?;
    }
    for hierarchy in cgroup::hierarchies()? {
        remove_if_empty(&hierarchy.join("muster"))?;
    }
    Ok(())
}

fn pins(prefix: &str) -> Result<()> {
    for folder in bpffs::pins(prefix)? {
        bpffs::remove(&folder)?;
    }
    remove_if_empty(&Path::new(bpffs::DIRECTORY).join("muster"))
}

fn directory(work: &Path) -> Result<()> {
    if work.as_os_str().is_empty() {
        return Ok(());
    }
    mounts::detach_below(work)?;
    match fs::remove_dir_all(work) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::system("rmdir", work.display().to_string())(error))
        }
        _ => Ok(()),
    }
}

fn namespaces(prefix: &str) -> Result<()> {
    for name in netns::names(prefix)? {
        NetNs::existing(name)?.delete()?;
    }
    Ok(())
}

/// Shared parents go with their last child, whoever that belongs to.
fn remove_if_empty(directory: &Path) -> Result<()> {
    match fs::remove_dir(directory) {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty | ErrorKind::ResourceBusy
            ) =>
        {
            Err(Error::system("rmdir", directory.display().to_string())(error))
        }
        _ => Ok(()),
    }
}
