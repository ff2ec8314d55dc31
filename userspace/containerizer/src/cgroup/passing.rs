//! Controllers of the v2 tree, passed on to groups in groups.

use std::fs;
use std::io;
use std::path::Path;

use super::file;
use super::group::listed;
use crate::Error;
use crate::error::At;

/// Where the processes of a container are whose group in v2 passes controllers on: the kernel
/// lets none be in that itself.
pub(super) const LEAF: &str = "leaf";
/// How often it is tried to pass a controller on: a process may just have come.
const ADMISSIONS: u32 = 100;

/// Passes the controller `name` on to the groups in `directory`, through those around it that
/// have not done so yet.
pub(super) fn admit(directory: &Path, name: &str) -> Result<(), Error> {
    let mut without = vec![directory];
    while let Some(directory) = without.last()
        && !has(&directory.join("cgroup.controllers"), name)?
        && let Some(around) = directory.parent()
    {
        without.push(around);
    }
    without.into_iter().rev().try_for_each(|directory| pass(directory, name))
}

/// Whether a file of a group lists the controller `name`.
fn has(file: &Path, name: &str) -> Result<bool, Error> {
    Ok(file::read(file)?.split_whitespace().any(|known| known == name))
}

/// Passes the controller `name` on to the groups in `directory`.
fn pass(directory: &Path, name: &str) -> Result<(), Error> {
    let control = directory.join("cgroup.subtree_control");
    if has(&control, name)? {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        move_to_leaf(directory)?;
        match file::write(&control, &format!("+{name}")) {
            Err(Error::Io { source, .. })
                if source.raw_os_error() == Some(libc::EBUSY) && tries < ADMISSIONS =>
            {
                tries += 1;
            }
            written => return written,
        }
    }
}

/// Moves the processes in the group `directory` itself to where they do not stand in the way.
fn move_to_leaf(directory: &Path) -> Result<(), Error> {
    let leaf = directory.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.at("mkdir", &leaf)?,
    }
    for process in listed(directory)? {
        match file::write(&leaf.join("cgroup.procs"), &process.to_string()) {
            // It has ended.
            Err(Error::Io { source, .. }) if source.raw_os_error() == Some(libc::ESRCH) => {}
            moved => moved?,
        }
    }
    Ok(())
}
