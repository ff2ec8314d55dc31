//! Thin layers that are made from other layers, once for all that want them.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::SetupError;
use crate::error::Step as _;
use crate::image::uses::{Item, Lease};
use crate::removal::remove_tree;

/// The layer `<kind>/<name>` of the store's `directory`, kept by `lease`. If it is not there, `make` makes it and
/// puts it on the disk, in the empty directory that it is given or below that, and says where.
/// Blocks.
pub(super) fn derived(
    directory: &Path,
    lease: &Lease,
    (kind, name): (&str, &str),
    make: impl FnOnce(&Path) -> Result<PathBuf, SetupError>,
) -> Result<PathBuf, SetupError> {
    lease.keep([Item::derived(kind, name)]).step(|| format!("keep {kind}/{name}"))?;
    let target = directory.join(kind).join(name);
    if target.is_dir() {
        return Ok(target);
    }
    let staging = directory.join("staging").join(format!("{kind}-{name}"));
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
    let remove = || remove_tree(&staging).step(|| format!("remove {}", staging.display()));
    remove()?;
    fs::create_dir(&staging).step(|| format!("mkdir {}", staging.display()))?;
    let made = make(&staging).and_then(|made| {
        fs::rename(made, &target).step(|| format!("rename to {}", target.display()))
    });
    remove()?;
    made.map(|()| target)
}

/// Gives `directory` the owner and mode of `model`, one of a layer below.
pub(crate) fn own_as(model: &Path, directory: &Path) -> io::Result<()> {
    let found = fs::metadata(model)?;
    chown(directory, Some(found.uid()), Some(found.gid()))?;
    fs::set_permissions(directory, fs::Permissions::from_mode(found.mode() & 0o7777))
}
