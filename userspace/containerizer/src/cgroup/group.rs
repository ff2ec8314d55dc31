//! One container's cgroups.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::Interest;

use super::{Controller, Hierarchies, Version, file};
use crate::Error;
use crate::error::At;
use crate::pid::ProcessId;
use crate::readiness::register;

/// A container's directories in the cgroup trees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// In the v2 tree.
    pub(crate) unified: PathBuf,
    /// In the v1 trees.
    pub(crate) v1: Vec<PathBuf>,
    /// Which of them has the memory controller's files.
    pub(crate) memory: PathBuf,
    /// In which form they are.
    pub(crate) memory_version: Version,
}

impl Group {
    /// The group `name`; it may not exist yet.
    pub(crate) fn new(hierarchies: &Hierarchies, name: &str) -> Self {
        Self {
            unified: hierarchies.unified(name),
            v1: hierarchies.v1(name),
            memory: hierarchies.directory(Controller::Memory, name),
            memory_version: hierarchies.version(Controller::Memory).unwrap_or(Version::V2),
        }
    }

    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.unified).chain(&self.v1)
    }

    /// Makes the directories. One that is there already is an error: it would be another's.
    pub(crate) fn create(&self) -> Result<(), Error> {
        self.directories()
            .try_for_each(|directory| fs::create_dir(directory).at("mkdir", directory))
    }

    /// Kills every process in the group, whatever it forks meanwhile (`cgroup.kill`, Linux
    /// 5.14). It has ended for each when [`Self::emptied`] returns.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        match file::write(&self.unified.join("cgroup.kill"), "1") {
            Err(Error::Io { source, .. }) if gone(&source) => Ok(()),
            killed => killed,
        }
    }

    /// The processes in the group.
    pub(crate) fn processes(&self) -> Result<Vec<u32>, Error> {
        let text = match file::read(&self.unified.join("cgroup.procs")) {
            Err(Error::Io { source, .. }) if gone(&source) => return Ok(Vec::new()),
            text => text?,
        };
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// A descriptor of `process` if it is in the group; `None` if it has ended.
    pub(crate) fn open(&self, process: u32) -> Result<Option<OwnedFd>, Error> {
        let Ok(id) = ProcessId::of(process) else {
            return Ok(None);
        };
        let opened = id.open()?;
        // Its number may have come to another one before it was opened, but not since.
        Ok(opened.filter(|_| self.processes().is_ok_and(|all| all.contains(&process))))
    }

    /// Waits until no process is in the group.
    pub(crate) async fn emptied(&self) -> Result<(), Error> {
        let path = self.unified.join("cgroup.events");
        let events = match fs::File::open(&path) {
            Err(error) if gone(&error) => return Ok(()),
            opened => opened.at("open", &path)?,
        };
        // The kernel marks the file as ready each time that its text has changed.
        let events = register(events.into(), Interest::PRIORITY).at("epoll", &path)?;
        loop {
            match populated(&path) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(Error::Io { source, .. }) if gone(&source) => return Ok(()),
                Err(error) => return Err(error),
            }
            events.ready(Interest::PRIORITY).await.at("epoll", &path)?.clear_ready();
        }
    }

    /// Removes the directories, and cgroups that the container made in them. All processes
    /// must have ended.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        self.directories().try_for_each(|directory| remove_tree(directory).at("rmdir", directory))
    }
}

fn populated(events: &Path) -> Result<bool, Error> {
    Ok(file::field(&file::read(events)?, "populated") == Some(1))
}

/// Whether an error says that the cgroup has been removed.
fn gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

/// Removes a cgroup after its children. Their files cannot be removed, nor need they be.
fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if gone(&error) => return Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
        removed => return removed,
    }
    for child in fs::read_dir(directory)? {
        let child = child?;
        if child.file_type()?.is_dir() {
            remove_tree(&child.path())?;
        }
    }
    fs::remove_dir(directory)
}
