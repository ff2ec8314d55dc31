//! Places for what every container of an image has mounted into it.
//!
//! Few images have them all, and for a container to make them means a file or directory each
//! on the disk, through overlayfs, at every launch. So they are made once for each stack of
//! layers, as a thin layer of their own upon it: by an overlay in which they are missing, so
//! that owners, modes and links of the image are respected.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{FlockOperation, flock};
use rustix::mount::{MountPropagationFlags, mount_change};
use sha2::Digest as _;
use sha2::Sha256;

use super::digest::Digest;
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
pub(super) fn places(directory: &Path, layers: &[PathBuf]) -> Result<PathBuf, SetupError> {
    let target = directory.join("places").join(name(layers));
    if target.is_dir() {
        return Ok(target);
    }
    let staging = directory.join("staging").join(format!("places-{}", name(layers)));
    for directory in [target.parent(), staging.parent()].into_iter().flatten() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.step(|| format!("mkdir {}", directory.display()))?;
    }
    // As for other layers: others wait and find it, and what a killed one left is removed.
    let lock = staging.with_extension("lock");
    let step = || format!("lock {}", lock.display());
    let lock = File::create(&lock).step(step)?;
    flock(&lock, FlockOperation::LockExclusive).step(step)?;
    if target.is_dir() {
        return Ok(target);
    }
    remove(&staging)?;
    let made = fill(&staging, layers).and_then(|()| {
        let step = || format!("rename to {}", target.display());
        sync(&staging.join("upper")).step(step)?;
        fs::rename(staging.join("upper"), &target).step(step)
    });
    remove(&staging)?;
    made.map(|()| target)
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

/// Gives `directory` the owner and mode of `model`, the root of the layer below.
pub(crate) fn as_root_of(model: &Path, directory: &Path) -> io::Result<()> {
    let found = fs::metadata(model)?;
    chown(directory, Some(found.uid()), Some(found.gid()))?;
    fs::set_permissions(directory, fs::Permissions::from_mode(found.mode() & 0o7777))
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
    for path in [staging.to_owned(), staging.join("upper"), staging.join("work")] {
        fs::create_dir(&path).step(|| format!("mkdir {}", path.display()))?;
    }
    if let Some(top) = layers.first() {
        as_root_of(top, &staging.join("upper")).step(|| format!("chown {}", staging.display()))?;
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

fn remove(directory: &Path) -> Result<(), SetupError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.step(|| format!("remove {}", directory.display())),
    }
}
