//! Mounts of a container.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, fstat};
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount, open_tree};

use super::plan::{Attributes, Mount, What};
use super::system::mount_setattr;
use crate::SetupError;
use crate::error::Step as _;

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
fn attach(tree: &OwnedFd, target: &Path) -> Result<(), SetupError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree, "", CWD, target, flags).step(|| format!("move_mount {}", target.display()))
}

/// Mounts a new filesystem at `target`.
fn fresh(kind: &str, target: &Path, flags: MountFlags, options: &CStr) -> Result<(), SetupError> {
    mount(kind, target, kind, flags, options)
        .step(|| format!("mount {kind} on {}", target.display()))
}

/// A copy of what `mount` takes from the host, if it does.
pub(super) fn take(mount: &Mount) -> Result<Option<OwnedFd>, SetupError> {
    let What::Host { path, recursive } = &mount.what else { return Ok(None) };
    let Attributes { read_only, no_suid, no_devices, no_exec } = mount.attributes;
    let mut set = 0;
    for (wanted, flag) in [
        (read_only, libc::MOUNT_ATTR_RDONLY),
        (no_suid, libc::MOUNT_ATTR_NOSUID),
        (no_devices, libc::MOUNT_ATTR_NODEV),
        (no_exec, libc::MOUNT_ATTR_NOEXEC),
    ] {
        if wanted {
            set |= flag;
        }
    }
    let clear = if no_devices { 0 } else { libc::MOUNT_ATTR_NODEV };
    detached(path, *recursive, set, clear).map(Some)
}

/// Puts `mount`, with what was taken for it, where it belongs.
pub(super) fn put(mount: &Mount, source: Option<OwnedFd>) -> Result<(), SetupError> {
    let target = &mount.target;
    match (&mount.what, source) {
        (What::Link(to), _) => symlink(to, target).step(|| format!("symlink {}", target.display())),
        (What::New { filesystem, options }, _) => {
            directory(target)?;
            let options = CString::new(options.as_str()).map_err(|error| {
                SetupError::new(format!("mount {}", target.display()), error.to_string())
            })?;
            fresh(filesystem, target, flags(mount.attributes), &options)
        }
        (What::Host { .. }, Some(tree)) => {
            let kind = fstat(&tree).step(|| format!("fstat for {}", target.display()))?;
            if FileType::from_raw_mode(kind.st_mode).is_dir() {
                fs::create_dir_all(target).step(|| format!("mkdir {}", target.display()))?;
            } else {
                file(target)?;
            }
            attach(&tree, target)
        }
        (What::Host { path, .. }, None) => {
            let step = format!("mount {} on {}", path.display(), target.display());
            Err(SetupError::new(step, "it was not taken from the host"))
        }
    }
}

fn flags(attributes: Attributes) -> MountFlags {
    let Attributes { read_only, no_suid, no_devices, no_exec } = attributes;
    let flag = |wanted, flag| if wanted { flag } else { MountFlags::empty() };
    flag(read_only, MountFlags::RDONLY)
        | flag(no_suid, MountFlags::NOSUID)
        | flag(no_devices, MountFlags::NODEV)
        | flag(no_exec, MountFlags::NOEXEC)
}

/// Hides what in /proc and /sys is not the container's to see, and protects what is not its
/// to change. /dev must be there.
pub(super) fn restrict(masked: &[PathBuf], read_only: &[PathBuf]) -> Result<(), SetupError> {
    for path in masked {
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
    for path in read_only.iter().filter(|path| path.exists()) {
        attach(&detached(path, true, libc::MOUNT_ATTR_RDONLY, 0)?, path)?;
    }
    Ok(())
}

/// Makes sure that `path` is a directory and no link: what is mounted there must be there.
fn directory(path: &Path) -> Result<(), SetupError> {
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
fn file(path: &Path) -> Result<(), SetupError> {
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
