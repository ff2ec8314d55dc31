//! Mounts of a container.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount, open_tree};

use super::system::mount_setattr;
use crate::SetupError;
use crate::error::Step as _;

/// Paths of /proc and /sys that tell of the host or act on it, and are hidden: Docker's.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
/// Paths of /proc that may be read but not written: Docker's.
const READ_ONLY: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A copy of a mount, or of a file or directory in one, that is attached nowhere yet, with
/// `MOUNT_ATTR_…` flags set and cleared.
pub(super) fn detached(
    path: &Path,
    recursive: bool,
    set: u64,
    clear: u64,
) -> Result<OwnedFd, SetupError> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = open_tree(CWD, path, flags).step(|| format!("open_tree {}", path.display()))?;
    mount_setattr(tree.as_fd(), c"", recursive, set, clear)
        .step(|| format!("mount_setattr {}", path.display()))?;
    Ok(tree)
}

/// Attaches a detached mount at `target`, which exists.
pub(super) fn attach(tree: &OwnedFd, target: &Path) -> Result<(), SetupError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree, "", CWD, target, flags).step(|| format!("move_mount {}", target.display()))
}

/// Mounts a new filesystem at `target`.
pub(super) fn fresh(
    kind: &str,
    target: &Path,
    flags: MountFlags,
    options: &std::ffi::CStr,
) -> Result<(), SetupError> {
    mount(kind, target, kind, flags, options)
        .step(|| format!("mount {kind} on {}", target.display()))
}

/// Mounts the container's own /proc, and /sys read-only.
pub(super) fn kernel_interfaces() -> Result<(), SetupError> {
    let safe = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    directory(Path::new("/proc"))?;
    fresh("proc", Path::new("/proc"), safe, c"")?;
    directory(Path::new("/sys"))?;
    fresh("sysfs", Path::new("/sys"), safe | MountFlags::RDONLY, c"")
}

/// Hides what in /proc and /sys is not the container's to see, and protects what is not its
/// to change. /dev must be there.
pub(super) fn restrict() -> Result<(), SetupError> {
    for path in MASKED.iter().map(Path::new) {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => {
                fresh("tmpfs", path, MountFlags::RDONLY, c"size=0k,nr_inodes=1")?;
            }
            Ok(_) => attach(&detached(Path::new("/dev/null"), false, 0, 0)?, path)?,
            // Not every kernel has every one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).step(|| format!("lstat {}", path.display())),
        }
    }
    for path in READ_ONLY.iter().map(Path::new) {
        if path.exists() {
            attach(&detached(path, true, libc::MOUNT_ATTR_RDONLY, 0)?, path)?;
        }
    }
    Ok(())
}

/// Makes sure that `path` is a directory and no link: what is mounted there must be there.
pub(super) fn directory(path: &Path) -> Result<(), SetupError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => {
            let step = format!("mount on {}", path.display());
            Err(SetupError::new(step, "the image has something else than a directory there"))
        }
        Err(_) => fs::create_dir_all(path).step(|| format!("mkdir {}", path.display())),
    }
}

/// Makes sure that `path` is a file. A link is replaced: it could lead anywhere.
pub(super) fn file(path: &Path) -> Result<(), SetupError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(found) if found.is_symlink() => {
            fs::remove_file(path).step(|| format!("unlink {}", path.display()))?;
        }
        _ => {}
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).step(|| format!("mkdir {}", parent.display()))?;
    }
    fs::File::create(path).step(|| format!("create {}", path.display()))?;
    Ok(())
}
