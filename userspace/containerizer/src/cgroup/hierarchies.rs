//! Where this machine has which controller.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use procfs::FromBufRead as _;
use procfs::process::MountInfos;

use super::{Controller, Version, file};
use crate::Error;
use crate::error::At;

/// The cgroup trees of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    /// The v2 tree.
    unified: PathBuf,
    /// The v1 trees by controller.
    v1: BTreeMap<Controller, PathBuf>,
    /// The controllers that the v2 tree has.
    v2: BTreeSet<Controller>,
}

impl Hierarchies {
    /// Finds the trees of this machine.
    pub(crate) fn detect() -> Result<Self, Error> {
        let path = "/proc/self/mountinfo";
        let mounts = fs::read_to_string(path).at("read", path)?;
        Self::find(&mounts, Path::new("/"))
    }

    /// Finds the trees in `mountinfo` (proc(5)), whose paths are below `prefix`.
    fn find(mountinfo: &str, prefix: &Path) -> Result<Self, Error> {
        let mounts = MountInfos::from_buf_read(mountinfo.as_bytes()).map_err(|error| {
            Error::Unsupported {
                what: format!("/proc/self/mountinfo is not understood: {error}"),
                remedy: "mount proc on /proc".into(),
            }
        })?;
        let below = |point: &Path| prefix.join(point.strip_prefix("/").unwrap_or(point));
        let mut unified = None;
        let mut v1 = BTreeMap::new();
        for mount in mounts {
            match mount.fs_type.as_str() {
                "cgroup2" => drop(unified.get_or_insert_with(|| below(&mount.mount_point))),
                "cgroup" => {
                    for controller in Controller::ALL {
                        if mount.super_options.contains_key(controller.name()) {
                            v1.entry(controller).or_insert_with(|| below(&mount.mount_point));
                        }
                    }
                }
                _ => {}
            }
        }
        let Some(unified) = unified else {
            let point = if v1.is_empty() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/unified" };
            return Err(Error::Unsupported {
                what: "cgroup v2 is not mounted".into(),
                remedy: format!("run: mkdir -p {point} && mount -t cgroup2 cgroup2 {point}"),
            });
        };
        let available = file::read(&unified.join("cgroup.controllers"))?;
        let mut v2 = BTreeSet::new();
        let available: BTreeSet<&str> = available.split_whitespace().collect();
        for controller in Controller::ALL {
            let there = controller.v2_name().is_none_or(|name| available.contains(name));
            if there && !v1.contains_key(&controller) {
                v2.insert(controller);
            }
        }
        Ok(Self { unified, v1, v2 })
    }

    /// In which version `needed` is.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if this machine has it in neither, with how to get it.
    pub(crate) fn require(&self, needed: Controller) -> Result<Version, Error> {
        self.version(needed).ok_or_else(|| {
            let name = needed.name();
            Error::Unsupported {
                what: format!("the cgroup controller {name} is neither in v1 nor in v2"),
                remedy: format!(
                    "run: mkdir -p /sys/fs/cgroup/{name} && mount -t cgroup -o {name} cgroup \
                     /sys/fs/cgroup/{name}, or boot without cgroup_disable={name}, or leave its \
                     isolator out of --isolation"
                ),
            }
        })
    }

    /// In which version `controller` is; `None` if this machine has it in neither.
    pub(crate) fn version(&self, controller: Controller) -> Option<Version> {
        if self.v1.contains_key(&controller) {
            Some(Version::V1)
        } else {
            self.v2.contains(&controller).then_some(Version::V2)
        }
    }

    /// The top directory of the tree that has `controller`.
    fn tree(&self, controller: Controller) -> &Path {
        self.v1.get(&controller).unwrap_or(&self.unified)
    }

    /// The directory of the cgroup `name` that has the files of `controller`.
    pub(crate) fn directory(&self, controller: Controller, name: &str) -> PathBuf {
        self.tree(controller).join(name)
    }

    /// The directory of the cgroup `name` in the v2 tree.
    pub(crate) fn unified(&self, name: &str) -> PathBuf {
        self.unified.join(name)
    }

    /// Every controller that this machine has.
    pub(crate) fn controllers(&self) -> BTreeSet<Controller> {
        self.v1.keys().chain(&self.v2).copied().collect()
    }

    /// Makes the cgroup `root`, under which containers' come, in the v2 tree and in those of
    /// `controllers`, and enables them for what is below it.
    pub(crate) fn prepare(
        &self,
        root: &str,
        controllers: &BTreeSet<Controller>,
    ) -> Result<(), Error> {
        for controller in controllers {
            let Some(tree) = self.v1.get(controller) else { continue };
            let mut directory = tree.clone();
            for part in Path::new(root) {
                directory.push(part);
                make(&directory)?;
                if *controller == Controller::Cpuset {
                    inherit(&directory)?;
                }
            }
        }
        let mut directory = self.unified.clone();
        self.enable(&directory, controllers)?;
        for part in Path::new(root) {
            directory.push(part);
            make(&directory)?;
            self.enable(&directory, controllers)?;
        }
        Ok(())
    }

    /// Passes `controllers`, as far as they are in v2, on to the children of `directory`.
    fn enable(&self, directory: &Path, controllers: &BTreeSet<Controller>) -> Result<(), Error> {
        let path = directory.join("cgroup.subtree_control");
        let wanted = self.v2.intersection(controllers);
        for name in wanted.filter_map(|controller| controller.v2_name()) {
            let enabled = file::read(&path)?;
            if enabled.split_whitespace().any(|known| known == name) {
                continue;
            }
            file::write(&path, &format!("+{name}")).map_err(|error| Error::Unsupported {
                what: format!("the cgroup controller {name} cannot be enabled: {error}"),
                remedy: format!(
                    "no process may be in {} itself: move them to a child of it",
                    directory.display()
                ),
            })?;
        }
        Ok(())
    }

    /// Removes the cgroup `root` and its parents where nothing else is in them.
    pub(crate) fn remove(&self, root: &str) -> Result<(), Error> {
        let mut trees = vec![&self.unified];
        trees.extend(self.v1.values());
        for tree in trees {
            for level in Path::new(root).ancestors() {
                if level.as_os_str().is_empty() {
                    break;
                }
                let directory = tree.join(level);
                match fs::remove_dir(&directory) {
                    // In use by another agent, or by processes that are not ours.
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => break,
                    Err(error) if error.raw_os_error() == Some(libc::ENOTEMPTY) => break,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    removed => removed.at("rmdir", &directory)?,
                }
            }
        }
        Ok(())
    }
}

/// Makes a directory, unless it is there.
fn make(directory: &Path) -> Result<(), Error> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.at("mkdir", directory),
    }
}

/// Gives a new group of v1's cpuset what the one above it has: with nothing it can have no
/// task.
pub(crate) fn inherit(directory: &Path) -> Result<(), Error> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let own = directory.join(name);
        if file::read(&own)?.trim().is_empty() {
            let above = directory.parent().unwrap_or(directory).join(name);
            file::write(&own, file::read(&above)?.trim())?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod fake {
    //! Trees of plain files, for tests of what is written where.

    use super::*;

    /// Trees in `directory` with the cgroup `c`: of v1 controllers beside an empty v2 tree,
    /// or of v2 only.
    pub(crate) fn trees(directory: &Path, version: Version) -> Hierarchies {
        let (mounts, unified, controllers) = match version {
            Version::V1 => (
                "1 0 0:1 / /c/cpu rw - cgroup cgroup rw,cpu\n\
                 1 0 0:3 / /c/memory rw - cgroup cgroup rw,memory\n\
                 1 0 0:4 / /c/pids rw - cgroup cgroup rw,pids\n\
                 1 0 0:6 / /c/cpuset rw - cgroup cgroup rw,cpuset\n\
                 1 0 0:7 / /c/blkio rw - cgroup cgroup rw,blkio\n\
                 1 0 0:8 / /c/devices rw - cgroup cgroup rw,devices\n\
                 1 0 0:5 / /c/unified rw - cgroup2 cgroup2 rw\n",
                directory.join("c/unified"),
                "\n",
            ),
            Version::V2 => (
                "1 0 0:1 / /c rw - cgroup2 cgroup2 rw\n",
                directory.join("c"),
                "cpu cpuset io memory pids\n",
            ),
        };
        fs::create_dir_all(&unified).unwrap();
        fs::write(unified.join("cgroup.controllers"), controllers).unwrap();
        let hierarchies = Hierarchies::find(mounts, directory).unwrap();
        for controller in hierarchies.controllers() {
            fs::create_dir_all(hierarchies.directory(controller, "c")).unwrap();
        }
        fs::create_dir_all(hierarchies.unified("c")).unwrap();
        hierarchies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Group;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
";
    const UNIFIED: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const PURE: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n";

    fn tree(directory: &str, controllers: &str) -> tempfile::TempDir {
        let prefix = tempfile::tempdir().unwrap();
        let directory = prefix.path().join(directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("cgroup.controllers"), controllers).unwrap();
        prefix
    }

    #[test]
    fn hybrid_has_its_controllers_in_v1() {
        let prefix = tree("sys/fs/cgroup/unified", "\n");
        let found = Hierarchies::find(&format!("{HYBRID}{UNIFIED}"), prefix.path()).unwrap();
        assert_eq!(found.version(Controller::Cpu), Some(Version::V1));
        assert_eq!(found.version(Controller::Memory), Some(Version::V1));
        assert_eq!(found.version(Controller::Pids), None);
        let below = |path: &str| prefix.path().join(path);
        let group = Group::new(&found, "m/a/c", &found.controllers());
        let (cpu, memory) = ("sys/fs/cgroup/cpu,cpuacct/m/a/c", "sys/fs/cgroup/memory/m/a/c");
        assert_eq!(group.v1(), [&below(cpu), &below(memory)].into());
        assert_eq!(group.unified, below("sys/fs/cgroup/unified/m/a/c"));
        let place = group.place(Controller::Cpu).unwrap();
        assert_eq!((place.version, place.directory), (Version::V1, below(cpu).as_path()));
        let error = group.place(Controller::Pids).unwrap_err().to_string();
        assert!(error.ends_with("m/a/c is not under the cgroup controller pids"), "{error}");
    }

    #[test]
    fn pure_v2_has_all_in_one() {
        let prefix = tree("sys/fs/cgroup", "cpuset cpu io memory pids\n");
        let found = Hierarchies::find(PURE, prefix.path()).unwrap();
        for controller in Controller::ALL {
            assert_eq!(found.version(controller), Some(Version::V2), "{controller:?}");
        }
        assert!(Group::new(&found, "m", &found.controllers()).v1().is_empty());
        let group = Group::new(&found, "m", &[Controller::Cpu].into());
        assert_eq!(group.place(Controller::Cpu).unwrap().version, Version::V2);
        assert!(group.place(Controller::Memory).is_err(), "nobody asked for it");
    }

    #[test]
    fn v1_alone_is_told_how_to_mount_v2() {
        let error = Hierarchies::find(HYBRID, Path::new("/")).unwrap_err().to_string();
        assert!(error.contains("mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"), "{error}");
        let error = Hierarchies::find("", Path::new("/")).unwrap_err().to_string();
        assert!(error.contains("mount -t cgroup2 cgroup2 /sys/fs/cgroup"), "{error}");
    }

    #[test]
    fn a_missing_controller_is_named() {
        let prefix = tree("sys/fs/cgroup", "cpu io\n");
        let found = Hierarchies::find(PURE, prefix.path()).unwrap();
        assert_eq!(found.require(Controller::Cpu).unwrap(), Version::V2);
        let error = found.require(Controller::Memory).unwrap_err().to_string();
        assert!(error.contains("cgroup controller memory"), "{error}");
    }

    #[test]
    fn enables_v2_controllers_down_to_the_root() {
        let prefix = tree("sys/fs/cgroup", "cpu memory pids\n");
        let found = Hierarchies::find(PURE, prefix.path()).unwrap();
        let top = prefix.path().join("sys/fs/cgroup");
        for level in ["", "m", "m/a"] {
            fs::create_dir_all(top.join(level)).unwrap();
            fs::write(top.join(level).join("cgroup.subtree_control"), "cpu\n").unwrap();
        }
        found.prepare("m/a", &[Controller::Cpu, Controller::Memory].into()).unwrap();
        for level in ["", "m", "m/a"] {
            let file = top.join(level).join("cgroup.subtree_control");
            assert_eq!(fs::read_to_string(file).unwrap(), "+memory", "{level}");
        }
    }

    #[test]
    fn a_group_of_cpusets_has_what_is_above_it() {
        let top = tempfile::tempdir().unwrap();
        let own = top.path().join("m");
        fs::create_dir(&own).unwrap();
        for (name, text) in [("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")] {
            fs::write(top.path().join(name), text).unwrap();
            fs::write(own.join(name), "\n").unwrap();
        }
        inherit(&own).unwrap();
        assert_eq!(fs::read_to_string(own.join("cpuset.cpus")).unwrap(), "0-3");
        fs::write(own.join("cpuset.cpus"), "1\n").unwrap();
        inherit(&own).unwrap();
        assert_eq!(fs::read_to_string(own.join("cpuset.cpus")).unwrap(), "1\n", "its own");
    }
}
