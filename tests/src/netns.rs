//! Named network namespaces, as `ip netns` names them.
//!
//! `ip netns exec` mounts a fresh `/sys` and so hides the cgroup trees and bpffs from what it
//! starts; here only the network namespace changes, by `setns` between fork and exec.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::error::{Error, Result};

/// Where `ip netns` looks for names.
pub const DIRECTORY: &str = "/run/netns";

/// A network namespace with a name under [`DIRECTORY`].
///
/// The value is only the name: dropping it leaves the namespace, [`NetNs::delete`] removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetNs {
    name: String,
}

impl NetNs {
    /// Makes a namespace and names it. Its loopback interface is still down.
    ///
    /// # Errors
    /// [`Error::System`]: the name is taken, or the caller lacks `CAP_SYS_ADMIN`.
    pub fn create(name: impl Into<String>) -> Result<Self> {
        let namespace = Self { name: name.into() };
        let path = namespace.path();
        let subject = path.display().to_string();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o444);
        loop {
            fs::create_dir_all(DIRECTORY).map_err(Error::system("mkdir", DIRECTORY))?;
            match options.open(&path) {
                Ok(_) => break,
                // The directory went with another's last namespace.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Error::system("open", subject)(error)),
            }
        }
        let made = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(Error::system("unshare", "CLONE_NEWNET"))?;
            let own = Some("/proc/thread-self/ns/net");
            mount(own, &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .map_err(Error::system("mount", subject))
        });
        if made.is_err() {
            // The error that counts is the one above.
            let _ = fs::remove_file(&path);
        }
        made?;
        Ok(namespace)
    }

    /// The namespace that already has this name.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none.
    pub fn existing(name: impl Into<String>) -> Result<Self> {
        let namespace = Self { name: name.into() };
        if namespace.path().exists() {
            return Ok(namespace);
        }
        Err(Error::Missing {
            what: format!("the network namespace {}", namespace.name),
            fix: format!("see `ip netns` and {DIRECTORY}"),
        })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that holds the namespace; `nsenter --net=` takes it.
    pub fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// Opens the namespace, for `setns`.
    ///
    /// # Errors
    /// [`Error::System`] when it is gone.
    pub fn open(&self) -> Result<File> {
        let path = self.path();
        File::open(&path).map_err(Error::system("open", path.display().to_string()))
    }

    /// Runs `work` on a thread of its own that has entered the namespace.
    ///
    /// # Errors
    /// [`Error::System`] when the namespace can not be entered; else what `work` returns.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let file = self.open()?;
        on_a_thread(|| {
            setns(&file, CloneFlags::CLONE_NEWNET).map_err(Error::system("setns", &self.name))?;
            work()
        })
    }

    /// Makes `command` start inside the namespace; cgroups, mounts and all else stay.
    ///
    /// # Errors
    /// [`Error::System`] when the namespace is gone.
    pub fn place(&self, command: &mut Command) -> Result<()> {
        let file = self.open()?;
        // SAFETY: between fork and exec the closure makes one system call and allocates
        // nothing; the file lives as long as the closure.
        unsafe {
            command.pre_exec(move || Ok(setns(&file, CloneFlags::CLONE_NEWNET)?));
        }
        Ok(())
    }

    /// Takes the name away; the namespace itself ends with its last process.
    ///
    /// # Errors
    /// [`Error::System`]. A name that does not exist is no error.
    pub fn delete(&self) -> Result<()> {
        let path = self.path();
        let subject = path.display().to_string();
        match umount2(&path, MntFlags::MNT_DETACH) {
            // EINVAL: not mounted, left between open and mount.
            Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
            Err(errno) => return Err(Error::system("umount2", subject)(errno)),
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::system("unlink", subject)(error));
            }
            _ => {}
        }
        // Stays while it has other names, or where `ip netns` made it a mount.
        let _ = fs::remove_dir(DIRECTORY);
        Ok(())
    }
}

/// All names under [`DIRECTORY`] that begin with `prefix`, sorted.
///
/// # Errors
/// [`Error::System`] when the directory can not be read; a missing one is empty.
pub fn names(prefix: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::system("opendir", DIRECTORY)(error)),
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    Ok(names)
}

/// A namespace is a thread's property: work that changes it gets a thread that then ends.
fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    /// Deletes its namespace also when an assertion fails.
    struct Guard(NetNs);

    impl Guard {
        fn new(what: &str) -> Self {
            Self(NetNs::create(format!("harness{}{what}", std::process::id())).unwrap())
        }
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.delete().unwrap();
        }
    }

    #[test]
    fn a_namespace_has_only_a_loopback_and_goes_away() {
        if !crate::privileged() {
            return;
        }
        let guard = Guard::new("lo");
        let namespace = &guard.0;
        let mut ip = Command::new("ip");
        ip.args(["-o", "link"]);
        namespace.place(&mut ip).unwrap();
        let links = command::output(&mut ip).unwrap();
        assert_eq!(links.lines().count(), 1, "{links}");
        assert!(links.contains("lo:"), "{links}");
        assert_eq!(names(namespace.name()).unwrap(), [namespace.name()]);

        namespace.delete().unwrap();
        assert!(names(namespace.name()).unwrap().is_empty());
        assert!(matches!(NetNs::existing(namespace.name()), Err(Error::Missing { .. })));
    }

    #[test]
    fn work_runs_inside_and_the_caller_stays_outside() {
        if !crate::privileged() {
            return;
        }
        let own = || fs::read_link("/proc/thread-self/ns/net").unwrap();
        let before = own();
        let guard = Guard::new("run");
        let inside = guard.0.run(|| Ok(own())).unwrap();
        assert_ne!(inside, before);
        assert_eq!(own(), before);
    }

    #[test]
    fn a_taken_name_is_refused_and_stays() {
        if !crate::privileged() {
            return;
        }
        let guard = Guard::new("twice");
        let second = NetNs::create(guard.0.name());
        assert!(matches!(second, Err(Error::System { call: "open", .. })), "{second:?}");
        assert!(guard.0.path().exists());
    }
}
