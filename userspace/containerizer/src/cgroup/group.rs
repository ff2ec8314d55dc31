//! One container's cgroups.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::Interest;

use super::passing::{self, LEAF};
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
    /// Those of a group around this one, which this one has no limits by, but can pass on.
    #[serde(default)]
    lent: BTreeSet<Controller>,
    /// Whether the directories in v1 are those of the container around this one.
    shared: bool,
}

/// How long it takes at most until what was started in a group since it was killed is killed.
const AGAIN: Duration = Duration::from_millis(100);

/// Where a group has the files of one controller, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// v1 or v2.
    pub(crate) version: Version,
    /// The group's directory in the tree of the controller.
    pub(crate) directory: &'a Path,
}

/// The name, below the agent's root, of the group of the container with this name.
pub(crate) fn group_name(root: &str, container: &str) -> String {
    let mut parts = container.split('/');
    let top = format!("{root}/{}", parts.next().unwrap_or_default());
    parts.fold(top, |path, id| format!("{path}/{}", nested_name(id)))
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
        Self { unified: hierarchies.unified(name), v1, v2, lent: BTreeSet::new(), shared: false }
    }

    /// The group of the container `id` that is nested in this group's: with limits of its own
    /// for `controllers`, as far as this group is under them, or under this group's limits
    /// alone. In v2 it has a directory in either case, where it is killed.
    pub(crate) fn nested(&self, id: &str, controllers: Option<&BTreeSet<Controller>>) -> Self {
        let unified = self.unified.join(nested_name(id));
        let passed = self.passed();
        let Some(controllers) = controllers else {
            let v1 = self.v1.clone();
            return Self { unified, v1, v2: BTreeSet::new(), lent: passed, shared: true };
        };
        let v1 = self.v1.iter().filter(|(controller, _)| controllers.contains(controller));
        let v1 = v1.map(|(controller, path)| (*controller, path.join(nested_name(id)))).collect();
        Self { unified, v1, v2: &passed & controllers, lent: BTreeSet::new(), shared: false }
    }

    /// The controllers in v2 that this group can pass on.
    fn passed(&self) -> BTreeSet<Controller> {
        &self.v2 | &self.lent
    }

    /// Whether it has limits of its own.
    pub(crate) fn has_limits(&self) -> bool {
        !self.shared
    }

    /// Passes this group's controllers in v2 on to what is nested in it.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        let passed = self.passed();
        let mut names = passed.iter().filter_map(|controller| controller.v2_name());
        names.try_for_each(|name| passing::admit(&self.unified, name))
    }

    /// The directory in v2 that the container's own processes are in.
    pub(crate) fn home(&self) -> PathBuf {
        let leaf = self.unified.join(LEAF);
        if leaf.is_dir() { leaf } else { self.unified.clone() }
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

    /// Those that are this group's alone, in all trees.
    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        let v1 = if self.shared { BTreeSet::new() } else { self.v1() };
        std::iter::once(&self.unified).chain(v1)
    }

    /// Makes the directories. One that is there already is an error: it would be another's.
    pub(crate) fn create(&self) -> Result<(), Error> {
        self.directories()
            .try_for_each(|directory| fs::create_dir(directory).at("mkdir", directory))
    }

    /// Brings this process, which has one thread, into the directories of v1; into that of v2
    /// it is forked. It does so itself because that takes no lock of the kernel's. To move
    /// another one means to wait until no process of the machine is forking or ending, for
    /// some 10 ms (`cgroup_threadgroup_rwsem`).
    pub(crate) fn join(&self) -> Result<(), Error> {
        self.v1().into_iter().try_for_each(|directory| file::write(&directory.join("tasks"), "0"))
    }

    /// Kills every process in the group, whatever it forks meanwhile (`cgroup.kill`, Linux
    /// 5.14). It has ended for each when [`Self::emptied`] returns.
    pub(crate) fn kill(&self) -> Result<(), Error> {
        match file::write(&self.unified.join("cgroup.kill"), "1") {
            Err(Error::Io { source, .. }) if gone(&source) => Ok(()),
            killed => killed,
        }
    }

    /// The container's own processes.
    pub(crate) fn processes(&self) -> Result<Vec<u32>, Error> {
        listed(&self.home())
    }

    /// The processes of the container and of all that are nested in it.
    pub(crate) fn all_processes(&self) -> Result<Vec<u32>, Error> {
        let (mut all, mut left) = (Vec::new(), vec![self.unified.clone()]);
        while let Some(directory) = left.pop() {
            all.extend(listed(&directory)?);
            let entries = match fs::read_dir(&directory) {
                Err(error) if gone(&error) => continue,
                entries => entries.at("read", &directory)?,
            };
            for entry in entries {
                let entry = entry.at("read", &directory)?;
                if entry.file_type().at("stat", entry.path())?.is_dir() {
                    left.push(entry.path());
                }
            }
        }
        Ok(all)
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
        match populated(&path) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(Error::Io { source, .. }) if gone(&source) => return Ok(()),
            Err(error) => return Err(error),
        }
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

    /// Kills every process in the group, and waits until none is left: also of what is being
    /// started in it meanwhile.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        loop {
            self.kill()?;
            if let Ok(emptied) = tokio::time::timeout(AGAIN, self.emptied()).await {
                return emptied;
            }
        }
    }

    /// Removes the directories, and cgroups that the container made in them. All processes
    /// must have ended.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        self.directories().try_for_each(|directory| remove_tree(directory).at("rmdir", directory))
    }
}

/// The directory of a nested container's group in that of the one around it: no other file or
/// directory there has such a name.
fn nested_name(id: &str) -> String {
    format!("nested.{id}")
}

/// The processes in the group `directory` itself; none if it is gone.
pub(super) fn listed(directory: &Path) -> Result<Vec<u32>, Error> {
    let text = match file::read(&directory.join("cgroup.procs")) {
        Err(Error::Io { source, .. }) if gone(&source) => return Ok(Vec::new()),
        text => text?,
    };
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::fake;

    fn group(directory: &Path, version: Version) -> Group {
        let trees = fake::trees(directory, version);
        Group::new(&trees, "c", &trees.controllers())
    }

    #[test]
    fn a_nested_group_has_limits_of_its_own_or_its_parents() {
        let directory = tempfile::tempdir().unwrap();
        let parent = group(directory.path(), Version::V1);
        let own = parent.nested("x", Some(&[Controller::Memory].into()));
        let memory = directory.path().join("c/memory/c/nested.x");
        assert_eq!(own.v1(), [&memory].into());
        own.create().unwrap();
        assert!(memory.is_dir() && own.unified.ends_with("c/unified/c/nested.x"));
        own.remove().unwrap();
        let shared = parent.nested("x", None);
        assert_eq!(shared.v1(), parent.v1(), "it joins them");
        shared.create().unwrap();
        shared.remove().unwrap();
        assert!(!shared.unified.exists() && parent.v1().iter().all(|path| path.is_dir()));
        assert_eq!(group_name("m/a", "c/x/y"), "m/a/c/nested.x/nested.y");
    }

    #[test]
    fn processes_make_room_for_what_is_nested() {
        let directory = tempfile::tempdir().unwrap();
        let parent = group(directory.path(), Version::V2);
        let write = |path: &Path, text| fs::write(path, text).unwrap();
        write(&parent.unified.join("cgroup.procs"), "7\n");
        write(&parent.unified.join("cgroup.controllers"), "cpu cpuset io memory pids");
        write(&parent.unified.join("cgroup.subtree_control"), "cpu cpuset memory pids");
        let leaf = parent.unified.join(LEAF);
        fs::create_dir(&leaf).unwrap();
        write(&leaf.join("cgroup.procs"), "");
        parent.admit().unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(read(&leaf.join("cgroup.procs")), "7");
        assert_eq!(read(&parent.unified.join("cgroup.subtree_control")), "+io");
        assert_eq!(parent.home(), leaf);
        let own = parent.nested("x", Some(&[Controller::Memory].into()));
        let place = own.place(Controller::Memory).unwrap();
        assert_eq!((place.version, place.directory), (Version::V2, own.unified.as_path()));
        assert!(own.place(Controller::Cpu).is_err());
    }

    #[test]
    fn controllers_come_through_those_that_have_no_limits_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let trees = fake::trees(directory.path(), Version::V2);
        let top = Group::new(&trees, "c", &[Controller::Memory].into());
        let middle = top.nested("a", None);
        let around = middle.nested("b", None);
        let own = around.nested("x", Some(&[Controller::Memory].into()));
        assert!(around.place(Controller::Memory).is_err() && !around.has_limits());
        assert_eq!(own.place(Controller::Memory).unwrap().directory, own.unified);
        for (group, controllers) in [(&top, "cpu memory"), (&middle, ""), (&around, "")] {
            fs::create_dir_all(group.unified.join(LEAF)).unwrap();
            fs::write(group.unified.join("cgroup.controllers"), controllers).unwrap();
            fs::write(group.unified.join("cgroup.subtree_control"), "").unwrap();
        }
        let control = |group: &Group| {
            fs::read_to_string(group.unified.join("cgroup.subtree_control")).unwrap()
        };
        around.admit().unwrap();
        assert_eq!([&top, &middle, &around].map(control), ["+memory"; 3]);
    }
}
