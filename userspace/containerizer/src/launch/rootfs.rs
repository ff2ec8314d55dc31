//! A container's view of files: overlay, /proc, /sys, /dev, sandbox, and the way into it.

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use rustix::process::{chdir, pivot_root};

use super::devices::Devices;
use super::mounts;
use super::order::{Plan, Root};
use super::system::{mount_setattr, open_directory};
use crate::SetupError;
use crate::error::Step as _;
use crate::spec::SANDBOX;

/// Files in which a container of the host's network sees what the host sees.
const NETWORK_FILES: &[&str] = &["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"];

/// Makes this process see the container's files. It has a mount namespace of its own, in
/// which all this happens: on the host nothing is mounted, and nothing is left.
pub(super) fn enter(plan: &Plan) -> Result<(), SetupError> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step(|| "make / private".into())?;
    let devices = Devices::take()?;
    let files = network_files(plan)?;
    match &plan.root {
        Root::Host => {
            // As in a container with an image: its own /dev is the only way to a device.
            mount_setattr(CWD, c"/", true, libc::MOUNT_ATTR_NODEV, 0)
                .step(|| "mount_setattr /".into())?;
            // The same sysfs is not mounted twice at one place.
            match unmount("/sys", UnmountFlags::DETACH) {
                Ok(()) | Err(rustix::io::Errno::INVAL) => {}
                Err(error) => return Err(error).step(|| "unmount /sys".into()),
            }
            mounts::kernel_interfaces()?;
        }
        Root::Layers(layers) => {
            let safe = libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOSUID;
            let sandbox = mounts::detached(&plan.sandbox, true, safe, 0)?;
            overlay(layers, &plan.scratch)?;
            pivot(&plan.scratch.join("root"))?;
            // From here on no path of the image, link or not, leads out of it.
            mounts::kernel_interfaces()?;
            fs::create_dir_all(SANDBOX).step(|| format!("mkdir {SANDBOX}"))?;
            mounts::attach(&sandbox, Path::new(SANDBOX))?;
        }
    }
    devices.mount()?;
    for (target, tree) in files {
        mounts::file(Path::new(target))?;
        mounts::attach(&tree, Path::new(target))?;
    }
    mounts::restrict()
}

/// Copies of the host's files, with the container's host name where it has its own.
fn network_files(plan: &Plan) -> Result<Vec<(&'static str, OwnedFd)>, SetupError> {
    let mut files = Vec::new();
    for target in NETWORK_FILES.iter().copied() {
        let own = plan.hostname.as_deref().and_then(|name| match target {
            "/etc/hostname" => Some(format!("{name}\n")),
            "/etc/hosts" => {
                // Without a file of the host there is still the container's own name.
                let hosts = fs::read_to_string(target).unwrap_or_default();
                Some(format!("{}\n127.0.1.1\t{name}\n", hosts.trim_end()))
            }
            _ => None,
        });
        let source = match (own, &plan.root) {
            (Some(text), _) => {
                let name = Path::new(target).file_name().unwrap_or_default();
                let path = plan.scratch.join(name);
                fs::write(&path, text).step(|| format!("write {}", path.display()))?;
                path
            }
            (None, Root::Host) => continue,
            (None, Root::Layers(_)) => target.into(),
        };
        if source.exists() {
            let tree = mounts::detached(&source, false, libc::MOUNT_ATTR_RDONLY, 0)?;
            files.push((target, tree));
        }
    }
    Ok(files)
}

/// Mounts the overlay of `layers` at `scratch/root`.
fn overlay(layers: &[std::path::PathBuf], scratch: &Path) -> Result<(), SetupError> {
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
    let root = scratch.join("root");
    mount("overlay", &root, "overlay", MountFlags::NODEV, &*options)
        .step(|| format!("mount overlay on {}", root.display()))
}

/// Makes `root` the root directory and takes everything else away.
fn pivot(root: &Path) -> Result<(), SetupError> {
    chdir(root).step(|| format!("chdir {}", root.display()))?;
    // The old root comes to lie upon the new one, and is lifted off.
    pivot_root(".", ".").step(|| "pivot_root".into())?;
    unmount(".", UnmountFlags::DETACH).step(|| "unmount the old root".into())?;
    chdir("/").step(|| "chdir /".into())
}
