//! The cgroup trees: v1 hierarchies, the v2 tree, or both (hybrid).

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::mounts;
use crate::wait::{eventually_regardless, ready};

/// How long killed processes may take to leave their cgroup.
const EMPTY_WITHIN: Duration = Duration::from_secs(20);

/// The roots of all mounted hierarchies, v1 and v2, sorted.
///
/// # Errors
/// [`Error::System`] when the mount table can not be read.
pub fn hierarchies() -> Result<Vec<PathBuf>> {
    let mut roots: Vec<PathBuf> = mounts::all()?
        .into_iter()
        .filter(|mount| matches!(mount.kind.as_str(), "cgroup" | "cgroup2"))
        .map(|mount| mount.target)
        .collect();
    roots.sort();
    roots.dedup();
    Ok(roots)
}

/// The root of the v2 tree: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` on a hybrid tree.
///
/// # Errors
/// [`Error::Missing`] when none is mounted.
pub fn unified() -> Result<PathBuf> {
    let mount = mounts::all()?.into_iter().find(|mount| mount.kind == "cgroup2");
    mount.map(|mount| mount.target).ok_or_else(|| Error::Missing {
        what: "a mounted cgroup v2 tree".into(),
        fix: "mkdir -p /sys/fs/cgroup/unified && \
              mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
            .into(),
    })
}

/// One cgroup, by its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    directory: PathBuf,
}

impl Cgroup {
    /// Makes the cgroup `path` in the v2 tree, with its parents.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel refuses; [`Error::Missing`] without a v2 tree.
    pub fn create(path: &str) -> Result<Self> {
        let directory = unified()?.join(path);
        fs::create_dir_all(&directory)
            .map_err(Error::system("mkdir", directory.display().to_string()))?;
        Ok(Self { directory })
    }

    /// The cgroup at `directory`, whether it exists or not.
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes `command` start inside the cgroup, from its first instruction.
    ///
    /// # Errors
    /// [`Error::System`] when the cgroup is gone.
    pub fn place(&self, command: &mut Command) -> Result<()> {
        let path = self.directory.join("cgroup.procs");
        let mut procs: File = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(Error::system("open", path.display().to_string()))?;
        // SAFETY: between fork and exec the closure makes one system call and allocates
        // nothing; the file lives as long as the closure. 0 means the writer itself.
        unsafe {
            command.pre_exec(move || procs.write_all(b"0"));
        }
        Ok(())
    }

    /// Pids of the processes in this cgroup, not in its children. A cgroup that is gone has none.
    ///
    /// # Errors
    /// [`Error::System`] when the list can not be read.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let path = self.directory.join("cgroup.procs");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.parse().ok()).collect()),
            // ENODEV: removed between open and read.
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    || error.raw_os_error() == Some(Errno::ENODEV as i32) =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(Error::system("read", path.display().to_string())(error)),
        }
    }

    /// Kills everything in the cgroup and below and removes it. Idempotent.
    ///
    /// # Errors
    /// [`Error::System`] when the kernel refuses; [`Error::Timeout`] when processes do not end.
    pub fn remove(&self) -> Result<()> {
        for child in self.children()? {
            child.remove()?;
        }
        let subject = self.directory.display().to_string();
        eventually_regardless(format!("{subject} to be empty"), EMPTY_WITHIN, || {
            let processes = self.processes()?;
            for pid in &processes {
                match kill(Pid::from_raw(*pid), Signal::SIGKILL) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(errno) => return Err(Error::system("kill", pid.to_string())(errno)),
                }
            }
            ready(processes.is_empty(), || format!("{subject} still holds {processes:?}"))?;
            match fs::remove_dir(&self.directory) {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                // A process that has ended leaves its cgroup a moment later.
                Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                    Err(Error::NotYet(format!("rmdir {subject}: {error}")))
                }
                Err(error) => Err(Error::system("rmdir", &subject)(error)),
            }
        })
    }

    /// The cgroups directly below.
    pub(crate) fn children(&self) -> Result<Vec<Self>> {
        subdirectories(&self.directory).map(|found| found.into_iter().map(Self::at).collect())
    }
}

/// Cgroups `<hierarchy>/muster/<name>` whose names begin with `prefix`, in all hierarchies.
///
/// # Errors
/// [`Error::System`] when a tree can not be read.
pub fn of_agents(prefix: &str) -> Result<Vec<Cgroup>> {
    let mut found = Vec::new();
    for hierarchy in hierarchies()? {
        for directory in subdirectories(&hierarchy.join("muster"))? {
            if directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
            {
                found.push(Cgroup::at(directory));
            }
        }
    }
    Ok(found)
}

/// The directories in `directory`, sorted; none when it does not exist.
pub(crate) fn subdirectories(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Error::system("opendir", directory.display().to_string())(error));
        }
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_starts_inside_and_removal_kills_it() {
        if !crate::privileged() {
            return;
        }
        let name = format!("harness{}", std::process::id());
        let cgroup = Cgroup::create(&name).unwrap();
        let inner = Cgroup::create(&format!("{name}/inner")).unwrap();
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        inner.place(&mut sleep).unwrap();
        let mut child = sleep.spawn().unwrap();
        let members = inner.processes();
        let removed = cgroup.remove();
        let status = child.wait().unwrap();

        assert_eq!(members.unwrap(), [i32::try_from(child.id()).unwrap()]);
        removed.unwrap();
        assert!(!status.success());
        assert!(!cgroup.directory().exists());
        cgroup.remove().unwrap();
    }
}
