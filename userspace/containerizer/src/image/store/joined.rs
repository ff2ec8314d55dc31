//! What has to be on top of a stack of layers.
//!
//! A layer may have files in a directory that it has no entry for: such a directory is as it
//! was in the layers below. overlayfs however shows a directory as the uppermost layer has it,
//! and a layer's own directory cannot be made right, since other stacks have that layer above
//! other ones. So a stack gets a thin layer on top, with these directories as they should be.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Timespec, Timestamps, XattrFlags, getxattr, lgetxattr, listxattr, setxattr};
use rustix::io::Errno;

use super::layers::Layers;
use crate::SetupError;
use crate::error::Step as _;
use crate::image::derived::{derived, own_as};
use crate::image::digest::Digest;
use crate::image::uses::{Item, Lease};

/// The most that names, or the value, of extended attributes take (xattr(7)).
const ATTRIBUTES_MAX: usize = 64 << 10;

/// The layer for the top of `stack`, the uppermost first; made if it is not there. `None` if
/// none is needed.
pub(super) fn joined(
    layers: &Layers,
    stack: &[PathBuf],
    lease: &Lease,
) -> Result<Option<PathBuf>, SetupError> {
    if stack.len() < 2 {
        return Ok(None);
    }
    let implied = |layer: &PathBuf| {
        layers.implied(layer).step(|| format!("read what {} implies", layer.display()))
    };
    let implied = stack.iter().map(implied).collect::<Result<Vec<_>, _>>()?;
    if implied.iter().all(BTreeSet::is_empty) {
        return Ok(None);
    }
    let name = stack.iter().map(|layer| layer.as_os_str().as_bytes()).collect::<Vec<_>>();
    let name = Digest::of(&name.join(&0));
    let kept = lease.keep([Item::derived("joined", name.hex())]);
    kept.step(|| "keep what is joined".into())?;
    let target = layers.directory().join("joined").join(name.hex());
    if target.is_dir() {
        return Ok(Some(target));
    }
    let wanted = Stack { layers: stack, implied: &implied }.wanted()?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let made = derived(layers.directory(), lease, ("joined", name.hex()), |staging| {
        fill(staging, &wanted)?;
        for path in wanted.keys() {
            // They are few, and the rest of the disk is none of their business.
            let path = staging.join(path);
            let synced = File::open(&path).and_then(|made| made.sync_all());
            synced.step(|| format!("fsync {}", path.display()))?;
        }
        Ok(staging.to_owned())
    });
    made.map(Some)
}

/// Layers that lie upon each other, the uppermost first.
struct Stack<'a> {
    layers: &'a [PathBuf],
    /// Directories of each that have no entry.
    implied: &'a [BTreeSet<PathBuf>],
}

impl Stack<'_> {
    /// The directories that are not shown as they should be, with those above them, and the
    /// directories after which they are to be made.
    fn wanted(&self) -> Result<BTreeMap<PathBuf, PathBuf>, SetupError> {
        let mut wanted = BTreeMap::new();
        let step = |path: &Path| format!("look for the layers of {}", path.display());
        for path in self.implied.iter().flatten().collect::<BTreeSet<_>>() {
            let visible = self.visible(path).step(|| step(path))?;
            let Some(shown) = visible.first() else { continue };
            let model = visible.iter().find(|layer| !self.implied[**layer].contains(path));
            let Some(model) = model.filter(|model| *model != shown) else { continue };
            let (shown, model) = (self.layers[*shown].join(path), self.layers[*model].join(path));
            if path.as_os_str().is_empty() && same(&shown, &model).step(|| step(path))? {
                continue;
            }
            wanted.insert(path.clone(), model);
        }
        let above: Vec<PathBuf> =
            wanted.keys().flat_map(|path| path.ancestors().skip(1)).map(Path::to_owned).collect();
        for path in above {
            if wanted.contains_key(&path) {
                continue;
            }
            let visible = self.visible(&path).step(|| step(&path))?;
            let named = visible.iter().find(|layer| !self.implied[**layer].contains(&path));
            if let Some(model) = named.or(visible.first()) {
                let model = self.layers[*model].join(&path);
                wanted.insert(path, model);
            }
        }
        Ok(wanted)
    }

    /// The layers that have a part in the directory `path`, the uppermost first; none if it is
    /// no directory.
    fn visible(&self, path: &Path) -> io::Result<Vec<usize>> {
        let mut visible: Vec<usize> = (0..self.layers.len()).collect();
        let mut below = PathBuf::new();
        for name in path {
            below.push(name);
            let mut next = Vec::new();
            for layer in visible {
                let place = self.layers[layer].join(&below);
                let found = match fs::symlink_metadata(&place) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    found => found?,
                };
                // A whiteout, or a file: what is below it is out of sight.
                if !found.is_dir() {
                    break;
                }
                next.push(layer);
                let mut value = [0];
                match lgetxattr(&place, "trusted.overlay.opaque", &mut value[..]) {
                    Ok(1) if value == *b"y" => break,
                    Ok(_) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            visible = next;
        }
        Ok(visible)
    }
}

/// Whether two directories have the same owner, mode and attributes.
fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let key = |found: Metadata| (found.uid(), found.gid(), found.mode());
    let files = key(fs::metadata(one)?) == key(fs::metadata(other)?);
    Ok(files && attributes(one)? == attributes(other)?)
}

/// Extended attributes, but for those of overlayfs.
fn attributes(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut buffer = vec![0; ATTRIBUTES_MAX];
    let length = match listxattr(path, buffer.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let names: Vec<Vec<u8>> = buffer[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && !name.starts_with(b"trusted.overlay."))
        .map(<[u8]>::to_vec)
        .collect();
    let mut found = BTreeMap::new();
    for name in names {
        let length = getxattr(path, OsStr::from_bytes(&name), buffer.as_mut_slice())?;
        found.insert(name, buffer[..length].to_vec());
    }
    Ok(found)
}

/// Makes the `wanted` directories below `root`.
fn fill(root: &Path, wanted: &BTreeMap<PathBuf, PathBuf>) -> Result<(), SetupError> {
    for (path, model) in wanted {
        let made = root.join(path);
        let copied = (|| {
            if !path.as_os_str().is_empty() {
                fs::create_dir(&made)?;
            }
            own_as(model, &made)?;
            for (name, value) in attributes(model)? {
                setxattr(&made, OsStr::from_bytes(&name), &value, XattrFlags::empty())?;
            }
            io::Result::Ok(())
        })();
        copied.step(|| format!("make a directory as {}", model.display()))?;
    }
    // Afterwards: what is made in them changes it.
    for (path, model) in wanted.iter().rev() {
        let step = || format!("set the times of {}", path.display());
        let found = fs::metadata(model).step(step)?;
        let modified = Timespec { tv_sec: found.mtime(), tv_nsec: found.mtime_nsec() };
        let times = Timestamps { last_access: modified, last_modification: modified };
        let flags = rustix::fs::AtFlags::empty();
        rustix::fs::utimensat(rustix::fs::CWD, root.join(path), &times, flags).step(step)?;
    }
    Ok(())
}
