//! User namespaces: in them a container's root is nobody of the host.
//!
//! Everything is set up outside, as root of the host, and the container's namespaces belong to
//! the host: its root can mount nothing, whatever its capabilities. The user namespace is
//! entered at last, when the process becomes its command.

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::system::{self, Forked, SingleThreaded};
use crate::error::Step as _;
use crate::{IdRange, SetupError};

/// Who a container's users are outside.
pub(super) struct Users {
    namespace: OwnedFd,
}

impl Users {
    /// A new namespace in which `ids` are the users and groups from 0 on.
    pub(super) fn new(alone: SingleThreaded, ids: IdRange) -> Result<Self, SetupError> {
        let (gone, stay) = pipe_with(PipeFlags::CLOEXEC).step(|| "pipe".into())?;
        // Somebody has to be in it while it is described.
        let forked = system::fork_user(alone).step(|| "make a user namespace".into())?;
        let Forked::Parent { pid, pidfd } = forked else {
            drop(stay);
            let _ = rustix::io::read(&gone, &mut [0]);
            system::exit(0);
        };
        let described = Self::describe(pid, ids);
        drop(stay);
        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).step(|| "waitid".into())?;
        described
    }

    fn describe(pid: u32, ids: IdRange) -> Result<Self, SetupError> {
        let first = ids.outside(0).unwrap_or_default();
        let map = format!("0 {first} {}", ids.count());
        for name in ["uid_map", "gid_map"] {
            let path = format!("/proc/{pid}/{name}");
            fs::write(&path, &map).step(|| format!("write {path}"))?;
        }
        Self::of(pid)
    }

    /// What it is open by.
    pub(super) fn descriptor(&self) -> RawFd {
        self.namespace.as_raw_fd()
    }

    /// Those of the process `pid`, which is not waited for meanwhile.
    fn of(pid: u32) -> Result<Self, SetupError> {
        let path = format!("/proc/{pid}/ns/user");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace =
            openat(CWD, &*path, flags, Mode::empty()).step(|| format!("open {path}"))?;
        Ok(Self { namespace })
    }

    /// Those of the container whose first process is open as `init`; `None` if they are the
    /// host's.
    pub(super) fn joined(init: &OwnedFd) -> Result<Option<Self>, SetupError> {
        let pid = system::number(init).step(|| "read fdinfo".into())?;
        let users = Self::of(pid)?;
        let path = "/proc/self/ns/user";
        let own = fs::metadata(path).step(|| format!("stat {path}"))?;
        let its = rustix::fs::fstat(&users.namespace).step(|| "fstat".into())?;
        if crate::pid::ended(init) {
            return Err(SetupError::new("enter the container", "it has ended"));
        }
        let same = std::os::unix::fs::MetadataExt::ino(&own) == its.st_ino;
        Ok((!same).then_some(users))
    }

    /// Makes this process one of them, for now without any id of theirs.
    pub(super) fn enter(&self) -> Result<(), SetupError> {
        move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::User))
            .step(|| "enter the user namespace".into())
    }

    /// Shows the files of a detached mount as theirs (Linux 5.12; for a layer of an overlay
    /// 5.19).
    pub(super) fn map(&self, tree: &OwnedFd) -> std::io::Result<()> {
        system::mount_idmap(tree.as_fd(), self.namespace.as_raw_fd())
    }
}
