//! Mounts of a container.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, fstat};
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount, open_tree};
use rustix::process::{chdir, fchdir};

use super::plan::{Attributes, Mount, Spread, What};
use super::system::mount_setattr;
use super::{place, rootfs};
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
    let tree = open_tree(CWD, path, clone_flags(recursive))
        .step(|| format!("open_tree {}", path.display()))?;
    if set | clear != 0 {
        mount_setattr(tree.as_fd(), c"", recursive, set, clear, 0)
            .step(|| format!("mount_setattr {}", path.display()))?;
    }
    Ok(tree)
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Attaches a detached mount at `place`.
fn attach(tree: &OwnedFd, place: &OwnedFd, target: &Path) -> Result<(), SetupError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", place, "", flags).step(|| format!("move_mount {}", target.display()))
}

/// Mounts a new filesystem at `target`, which is a directory or not there.
fn fresh(kind: &str, target: &Path, flags: MountFlags, options: &CStr) -> Result<(), SetupError> {
    if fs::symlink_metadata(target).is_ok_and(|found| !found.is_dir()) {
        let step = format!("mount on {}", target.display());
        return Err(SetupError::new(step, "the image has something else than a directory there"));
    }
    let step = || format!("mount {kind} on {}", target.display());
    // Where it is found is where it comes: a path could be another one by then.
    fchdir(place::directory(target)?).step(step)?;
    mount(kind, ".", kind, flags, options).step(step)?;
    chdir("/").step(|| "chdir /".into())
}

/// A copy of what `mount` takes from the host, if it does.
pub(super) fn take(mount: &Mount) -> Result<Option<OwnedFd>, SetupError> {
    let (path, beneath, recursive, propagation) = match &mount.what {
        What::Host { path, beneath, recursive, propagation } => {
            (path, beneath.as_ref(), *recursive, *propagation)
        }
        What::Layers { layers, scratch } => {
            // Where nobody else sees it, and goes when the old root does.
            rootfs::overlay(layers, scratch)?;
            (scratch, None, false, Spread::None)
        }
        What::Parent(path) => (path, None, true, Spread::None),
        What::New { .. } | What::Secret(_) | What::Link(_) => return Ok(None),
    };
    let name = || mount.source().display().to_string();
    let flags = clone_flags(recursive);
    let tree = match beneath {
        None => open_tree(CWD, path, flags),
        Some(beneath) => {
            let found = place::beneath(path, beneath)?;
            open_tree(&found, "", flags | OpenTreeFlags::AT_EMPTY_PATH)
        }
    };
    let tree = tree.step(|| format!("open_tree {}", name()))?;
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
    let spread = match propagation {
        Spread::None => libc::MS_PRIVATE,
        Spread::Inward => libc::MS_SLAVE,
        // As it was taken.
        Spread::Both => 0,
    };
    mount_setattr(tree.as_fd(), c"", recursive, set, clear, spread)
        .step(|| format!("mount_setattr {}", name()))?;
    Ok(Some(tree))
}

/// Puts `mount`, with what was taken for it, where it belongs.
pub(super) fn put(mount: &Mount, source: Option<OwnedFd>) -> Result<(), SetupError> {
    let target = &mount.target;
    match (&mount.what, source) {
        (What::Link(to), _) => symlink(to, target).step(|| format!("symlink {}", target.display())),
        (What::New { filesystem, options }, _) => {
            let options = CString::new(options.as_str()).map_err(|error| {
                SetupError::new(format!("mount {}", target.display()), error.to_string())
            })?;
            fresh(filesystem, target, flags(mount.attributes), &options)
        }
        (
            What::Host { .. } | What::Layers { .. } | What::Parent(_) | What::Secret(_),
            Some(tree),
        ) => {
            let kind = fstat(&tree).step(|| format!("fstat for {}", target.display()))?;
            let place = if FileType::from_raw_mode(kind.st_mode).is_dir() {
                place::directory(target)?
            } else {
                place::file(target)?
            };
            attach(&tree, &place, target)
        }
        (
            What::Host { path, .. } | What::Layers { scratch: path, .. } | What::Parent(path),
            None,
        ) => {
            let step = format!("mount {} on {}", path.display(), target.display());
            Err(SetupError::new(step, "it was not taken from where it is"))
        }
        (What::Secret(_), None) => {
            let step = format!("mount a secret on {}", target.display());
            Err(SetupError::new(step, "there is no file of it"))
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
    // Not every kernel has every one.
    let missing = |error: &SetupError| error.errno == Some(libc::ENOENT);
    let mut nothing: Option<OwnedFd> = None;
    let mut first: Option<&Path> = None;
    for path in masked {
        // What it is shows when nothing is laid over it: that is no directory.
        let tree = match nothing.take() {
            Some(tree) => tree,
            None => detached(Path::new("/dev/null"), false, 0, 0)?,
        };
        match (over(path, &tree), first) {
            (Ok(()), _) => {}
            (Err(error), _) if missing(&error) => nothing = Some(tree),
            (Err(error), empty) if error.errno == Some(libc::EINVAL) && path.is_dir() => {
                nothing = Some(tree);
                if let Some(empty) = empty {
                    over(path, &detached(empty, false, 0, 0)?)?;
                } else {
                    fresh("tmpfs", path, MountFlags::RDONLY, c"size=0k,nr_inodes=1")?;
                    first = Some(path);
                }
            }
            (Err(error), _) => return Err(error),
        }
    }
    for path in read_only {
        match detached(path, true, libc::MOUNT_ATTR_RDONLY, 0) {
            Ok(tree) => over(path, &tree)?,
            Err(error) if missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Attaches a detached mount over what is at `path`, which is the kernel's own or the agent's.
pub(super) fn over(path: &Path, tree: &OwnedFd) -> Result<(), SetupError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree, "", CWD, path, flags).step(|| format!("move_mount {}", path.display()))
}
