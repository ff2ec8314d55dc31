//! A container's view of files, and the way into it.

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, mount, mount_change,
    move_mount, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::plan::{Mount, Plan, Root, Spread, What};
use super::system::{mount_setattr, open_directory};
use super::users::Users;
use super::{join, mounts, secrets, system};
use crate::SetupError;
use crate::error::Step as _;

/// Makes this process see the container's files. It has a mount namespace of its own, in
/// which all this happens: on the host nothing is mounted, and nothing is left.
///
/// Returns the files of secrets, which are still to be given to its user.
pub(super) fn enter(
    plan: &Plan,
    around: Option<&OwnedFd>,
    users: Option<&Users>,
) -> Result<Vec<File>, SetupError> {
    let mut sources = take(&plan.mounts, around)?;
    let secrets = secrets::take(&plan.mounts, &plan.scratch, &mut sources)?;
    if let (Root::Parent { .. }, Some(around)) = (&plan.root, around) {
        join::files(around)?;
        // A copy of them, in which what happens there later is seen, but not the other way.
        system::unshare_mounts().step(|| "unshare the mounts".into())?;
        mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
            .step(|| "part from the parent's mounts".into())?;
    }
    match &plan.root {
        Root::Host | Root::Parent { .. } => {
            // As in a container with an image: its own /dev is the only way to a device.
            mount_setattr(CWD, c"/", true, libc::MOUNT_ATTR_NODEV, 0, 0)
                .step(|| "mount_setattr /".into())?;
            // The same sysfs is not mounted twice at one place.
            match unmount("/sys", UnmountFlags::DETACH) {
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error).step(|| "unmount /sys".into()),
            }
        }
        Root::Layers(layers) => {
            if let Some(users) = users {
                layers.iter().try_for_each(|layer| map(layer, users))?;
            }
            overlay(layers, &plan.scratch)?;
            pivot(&plan.scratch)?;
        }
        Root::Copied(_) => bound(&plan.scratch.join("root"), 0, &plan.scratch, users)?,
        Root::Bound(layer) => bound(layer, libc::MOUNT_ATTR_RDONLY, &plan.scratch, users)?,
    }
    // From here on no path of an image, link or not, leads out of it.
    for (mount, source) in plan.mounts.iter().zip(sources) {
        mounts::put(mount, source)?;
    }
    mounts::restrict(&plan.masked, &plan.read_only)?;
    Ok(secrets)
}

/// Takes what comes from the host, before that is out of sight: first what is to be one with
/// it, then what is to follow it, and the rest when neither sees the other any more.
fn take(wanted: &[Mount], around: Option<&OwnedFd>) -> Result<Vec<Option<OwnedFd>>, SetupError> {
    let mut taken: Vec<Option<OwnedFd>> = wanted.iter().map(|_| None).collect();
    let spread_of = |mount: &Mount| match mount.what {
        What::Host { propagation, .. } => Some(propagation),
        What::Layers { .. } => Some(Spread::None),
        What::Parent(_) | What::New { .. } | What::Secret(_) | What::Link(_) => None,
    };
    let of_parent = |mount: &Mount| matches!(mount.what, What::Parent(_));
    if let Some(around) = around.filter(|_| wanted.iter().any(of_parent)) {
        let own = join::own_files()?;
        join::files(around)?;
        for (mount, taken) in wanted.iter().zip(&mut taken).filter(|(mount, _)| of_parent(mount)) {
            *taken = mounts::take(mount)?;
        }
        join::return_to(&own)?;
    }
    for (spread, next) in [
        (Spread::Both, MountPropagationFlags::DOWNSTREAM),
        (Spread::Inward, MountPropagationFlags::PRIVATE),
        (Spread::None, MountPropagationFlags::empty()),
    ] {
        for (mount, taken) in wanted.iter().zip(&mut taken) {
            if spread_of(mount) == Some(spread) {
                *taken = mounts::take(mount)?;
            }
        }
        let needed = |spread| wanted.iter().any(|mount| spread_of(mount) == Some(spread));
        if next == MountPropagationFlags::PRIVATE
            || next == MountPropagationFlags::DOWNSTREAM && needed(Spread::Inward)
        {
            mount_change("/", next | MountPropagationFlags::REC)
                .step(|| "part from the host's mounts".into())?;
        }
    }
    Ok(taken)
}

/// Mounts the overlay of `layers` over `scratch`, in which its upper directory is. Leaves
/// this thread somewhere else.
pub(crate) fn overlay(layers: &[PathBuf], scratch: &Path) -> Result<(), SetupError> {
    // Options may be one page long and give a meaning to `,` and `:`. Directories are named
    // by their open descriptors therefore, seen from /proc/self/fd: any number, any path.
    let open = |path: &Path| open_directory(path).step(|| format!("open layer {}", path.display()));
    let lowers = layers.iter().map(|layer| open(layer)).collect::<Result<Vec<_>, _>>()?;
    let (upper, work) = (open(&scratch.join("upper"))?, open(&scratch.join("work"))?);
    let mut options = String::from("lowerdir=");
    for (index, lower) in lowers.iter().enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(options, "{separator}{}", lower.as_raw_fd());
    }
    let _ = write!(options, ",upperdir={},workdir={}", upper.as_raw_fd(), work.as_raw_fd());
    let options = CString::new(options)
        .map_err(|error| SetupError::new("mount overlay", error.to_string()))?;
    chdir("/proc/self/fd").step(|| "chdir /proc/self/fd".into())?;
    mount("overlay", scratch, "overlay", MountFlags::NODEV, &*options)
        .step(|| format!("mount overlay on {}", scratch.display()))
}

/// Lays over `layer` what it is to the container's `users`: only here, as this process sees it.
fn map(layer: &Path, users: &Users) -> Result<(), SetupError> {
    let tree = mounts::detached(layer, false, 0, 0)?;
    show(&tree, layer, users)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&tree, "", CWD, layer, flags)
        .step(|| format!("show the owners of {}", layer.display()))
}

/// Makes `tree`, a detached mount of `layer`, what it is to the container's `users`.
fn show(tree: &OwnedFd, layer: &Path, users: &Users) -> Result<(), SetupError> {
    users.map(tree).map_err(|error| {
        let reason = format!(
            "{error}; --user-namespaces needs Linux 5.19, and the image store on a filesystem with \
             ID-mapped mounts"
        );
        let step = format!("show the owners of layer {}", layer.display());
        SetupError { step, reason, errno: error.raw_os_error() }
    })
}

/// Makes the directory `root` the root directory, by way of a mount over `scratch` that has
/// these `MOUNT_ATTR_…` flags beside `nodev`.
fn bound(root: &Path, flags: u64, scratch: &Path, users: Option<&Users>) -> Result<(), SetupError> {
    let tree = mounts::detached(root, false, flags | libc::MOUNT_ATTR_NODEV, 0)?;
    if let Some(users) = users {
        show(&tree, root, users)?;
    }
    mounts::over(scratch, &tree)?;
    pivot(scratch)
}

/// Makes `root` the root directory and takes everything else away.
fn pivot(root: &Path) -> Result<(), SetupError> {
    chdir(root).step(|| format!("chdir {}", root.display()))?;
    // The old root comes to lie upon the new one, and is lifted off.
    pivot_root(".", ".").step(|| "pivot_root".into())?;
    unmount(".", UnmountFlags::DETACH).step(|| "unmount the old root".into())?;
    chdir("/").step(|| "chdir /".into())
}
