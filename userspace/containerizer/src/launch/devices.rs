//! /dev of a container.

use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::mount::MountFlags;

use super::mounts;
use crate::SetupError;
use crate::error::Step as _;

/// The devices that every container has.
const DEVICES: &[&str] = &["full", "null", "random", "tty", "urandom", "zero"];
/// Links in /dev.
const LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The host's devices, taken before they are out of sight.
pub(super) struct Devices(Vec<(&'static str, OwnedFd)>);

impl Devices {
    /// Takes them from the host's /dev.
    pub(super) fn take() -> Result<Self, SetupError> {
        let device = |name: &&'static str| {
            let set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
            let path = Path::new("/dev").join(name);
            let tree = mounts::detached(&path, false, set, libc::MOUNT_ATTR_NODEV)?;
            Ok((*name, tree))
        };
        Ok(Self(DEVICES.iter().map(device).collect::<Result<_, SetupError>>()?))
    }

    /// Mounts a new /dev with them. Every filesystem that a container can write to is
    /// mounted `nodev`, here too: nodes that it makes itself (it may, with `CAP_MKNOD`) open
    /// nothing. The devices it is given come as mounts of their own.
    pub(super) fn mount(self) -> Result<(), SetupError> {
        let dev = Path::new("/dev");
        mounts::directory(dev)?;
        let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::STRICTATIME;
        mounts::fresh("tmpfs", dev, flags, c"mode=755,size=65536k")?;
        for (name, tree) in self.0 {
            let target = dev.join(name);
            mounts::file(&target)?;
            mounts::attach(&tree, &target)?;
        }
        for (name, target) in LINKS {
            symlink(target, dev.join(name)).step(|| format!("symlink /dev/{name}"))?;
        }
        let pts = dev.join("pts");
        mounts::directory(&pts)?;
        mounts::fresh("devpts", &pts, quiet, c"newinstance,ptmxmode=0666,mode=0620,gid=5")?;
        let shm = dev.join("shm");
        mounts::directory(&shm)?;
        mounts::fresh("tmpfs", &shm, quiet | MountFlags::NODEV, c"mode=1777,size=65536k")?;
        let mqueue = dev.join("mqueue");
        mounts::directory(&mqueue)?;
        match mounts::fresh("mqueue", &mqueue, quiet | MountFlags::NODEV, c"") {
            // A kernel without POSIX message queues.
            Err(error) if error.errno == Some(libc::ENODEV) => Ok(()),
            mounted => mounted,
        }
    }
}
