//! One container's cgroups.

use std::collections::{BTreeMap, BTreeSet};
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

/// A container's directories in the cgroup trees. They are kept with the container: on
/// another run this machine may be asked for other controllers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// In the v2 tree.
    pub(crate) unified: PathBuf,
    /// In the v1 trees, by controller; several controllers may share one.
    v1: BTreeMap<Controller, PathBuf>,
    /// The controllers whose files are in the v2 tree.
    v2: BTreeSet<Controller>,
}

/// Where a group has the files of one controller, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// v1 or v2.
    pub(crate) version: Version,
    /// The group's directory in the tree of the controller.
    pub(crate) directory: &'a Path,
}

impl Group {
    /// The group `name` under `controllers`; it may not exist yet.
    pub(crate) fn new(
        hierarchies: &Hierarchies,
        name: &str,
        controllers: &BTreeSet<Controller>,
    ) -> Self {
        let (mut v1, mut v2) = (BTreeMap::new(), BTreeSet::new());
        for controller in controllers {
            match hierarchies.version(*controller) {
                Some(Version::V1) => {
                    v1.insert(*controller, hierarchies.directory(*controller, name));
                }
                Some(Version::V2) => drop(v2.insert(*controller)),
                None => {}
            }
        }
        Self { unified: hierarchies.unified(name), v1, v2 }
    }

    /// Where the files of `controller` are.
    ///
    /// # Errors
    /// [`Error::NoController`] if the group is not under it.
    pub(crate) fn place(&self, controller: Controller) -> Result<Place<'_>, Error> {
        if let Some(directory) = self.v1.get(&controller) {
            return Ok(Place { version: Version::V1, directory });
        }
        if self.v2.contains(&controller) {
            return Ok(Place { version: Version::V2, directory: &self.unified });
        }
        let group = self.unified.clone();
        Err(Error::NoController { controller: controller.name(), group })
    }

    /// The directories in the v1 trees, each once.
    pub(crate) fn v1(&self) -> BTreeSet<&PathBuf> {
        self.v1.values().collect()
    }

    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.unified).chain(self.v1())
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
