//! Places for what every container of an image has mounted into it.
//!
//! Few images have them all, and for a container to make them means a file or directory each
//! on the disk, through overlayfs, at every launch. So they are made once for each stack of
//! layers, as a thin layer of their own upon it: by an overlay in which they are missing, so
//! that owners, modes and links of the image are respected.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_change};
use sha2::Digest as _;
use sha2::Sha256;

use super::derived::{derived, own_as};
use super::digest::Digest;
use super::uses::Lease;
use crate::SetupError;
use crate::error::Step as _;
use crate::launch::{place, rootfs};
use crate::spec::SANDBOX;

/// Where filesystems and directories are mounted.
const DIRECTORIES: [&str; 4] = ["/dev", "/proc", "/sys", SANDBOX];
/// Where files of the host are.
pub(crate) const FILES: [&str; 3] = ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"];

/// The layer with the places for the stack `layers`, the uppermost first, in `directory`; it
/// is made if it is not there. Blocks.
pub(super) fn places(
    directory: &Path,
    layers: &[PathBuf],
    lease: &Lease,
) -> Result<PathBuf, SetupError> {
    derived(directory, lease, ("places", &name(layers)), |staging| {
        fill(staging, layers)?;
        let upper = staging.join("upper");
        sync(&upper).step(|| format!("fsync {}", upper.display()))?;
        Ok(upper)
    })
}

/// Puts a small directory on the disk. The rest of that is not waited for.
fn sync(path: &Path) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            sync(&entry?.path())?;
        }
    } else if !found.is_file() {
        return Ok(());
    }
    File::open(path)?.sync_all()
}

/// By what it depends on.
fn name(layers: &[PathBuf]) -> String {
    let mut hash = Sha256::new();
    for place in DIRECTORIES.iter().chain(&FILES) {
        hash.update(place);
        hash.update("\0");
    }
    for layer in layers {
        hash.update(layer.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update("\0");
    }
    Digest::finish(hash).hex().to_owned()
}

/// Makes the layer at `staging/upper`.
fn fill(staging: &Path, layers: &[PathBuf]) -> Result<(), SetupError> {
    for path in ["upper", "work"].map(|name| staging.join(name)) {
        fs::create_dir(&path).step(|| format!("mkdir {}", path.display()))?;
    }
    if let Some(top) = layers.first() {
        own_as(top, &staging.join("upper")).step(|| format!("chown {}", staging.display()))?;
    }
    // A thread may have a mount namespace and a root directory of its own, which end with it.
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).step(|| "unshare".into())?;
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
                .step(|| "part from the host's mounts".into())?;
            rootfs::overlay(layers, staging)?;
            nix::unistd::chroot(staging).step(|| format!("chroot {}", staging.display()))?;
            // One that cannot be made is met again at the launch, which names it.
            for path in DIRECTORIES {
                let _ = place::directory(Path::new(path));
            }
            // A link would be replaced, which only who mounts something there may do.
            for path in FILES.map(Path::new).into_iter().filter(|path| !path.is_symlink()) {
                let _ = place::file(path);
            }
            Ok(())
        });
        thread.join().map_err(|_| SetupError::new("make places for mounts", "the thread died"))?
    })
}
