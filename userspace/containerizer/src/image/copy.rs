//! Layers, as overlayfs wants them, made into one directory without it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    lgetxattr, llistxattr, lsetxattr, mknodat, utimensat,
};
use rustix::io::Errno;

use crate::removal::remove_tree;

/// The most that names, or the value, of extended attributes take (xattr(7)).
const ATTRIBUTES_MAX: usize = 64 << 10;
/// overlayfs' own attributes.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// Copies `layers`, the uppermost first, over each other into `target`, an empty directory.
/// The error names the file.
pub(crate) fn copy(layers: &[PathBuf], target: &Path) -> Result<(), (PathBuf, io::Error)> {
    for layer in layers.iter().rev() {
        directory(layer, target, &mut HashMap::new())?;
    }
    Ok(())
}

/// Copies what is in one layer's directory, and then what it is like.
fn directory(
    from: &Path,
    to: &Path,
    links: &mut HashMap<u64, PathBuf>,
) -> Result<(), (PathBuf, io::Error)> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| (path, error)
    };
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let (own, made) = (entry.path(), to.join(entry.file_name()));
        let found = entry.metadata().map_err(failed(&own))?;
        let before = match fs::symlink_metadata(&made) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            before => Some(before.map_err(failed(&made))?),
        };
        if found.is_dir() {
            let there = before.as_ref().is_some_and(Metadata::is_dir);
            if !there || is_opaque(&own).map_err(failed(&own))? {
                remove(&made, before.as_ref()).map_err(failed(&made))?;
                fs::create_dir(&made).map_err(failed(&made))?;
            }
            directory(&own, &made, links)?;
            continue;
        }
        remove(&made, before.as_ref()).map_err(failed(&made))?;
        let is_whiteout = found.file_type().is_char_device() && found.rdev() == 0;
        if !is_whiteout {
            file(&own, &found, &made, links).map_err(failed(&own))?;
        }
    }
    let found = fs::symlink_metadata(from).map_err(failed(from))?;
    attributes(from, &found, to).map_err(failed(to))
}

/// Copies anything but a directory.
fn file(
    from: &Path,
    found: &Metadata,
    to: &Path,
    links: &mut HashMap<u64, PathBuf>,
) -> io::Result<()> {
    if found.nlink() > 1 {
        if let Some(first) = links.get(&found.ino()) {
            return fs::hard_link(first, to);
        }
        links.insert(found.ino(), to.to_owned());
    }
    match found.file_type() {
        kind if kind.is_file() => drop(fs::copy(from, to)?),
        kind if kind.is_symlink() => symlink(fs::read_link(from)?, to)?,
        _ => {
            let kind = FileType::from_raw_mode(found.mode());
            mknodat(CWD, to, kind, Mode::RUSR, found.rdev())?;
        }
    }
    attributes(from, found, to)
}

/// Owner, mode, extended attributes and times; in this order, since each changes the next.
fn attributes(from: &Path, found: &Metadata, to: &Path) -> io::Result<()> {
    let owner = (Some(Uid::from_raw(found.uid())), Some(Gid::from_raw(found.gid())));
    chownat(CWD, to, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
    if !found.is_symlink() {
        chmodat(CWD, to, Mode::from_raw_mode(found.mode() & 0o7777), AtFlags::empty())?;
    }
    let mut buffer = vec![0; ATTRIBUTES_MAX];
    let length = match llistxattr(from, buffer.as_mut_slice()) {
        Err(Errno::OPNOTSUPP) => 0,
        length => length?,
    };
    let names = buffer[..length].to_vec();
    for name in names.split(|byte| *byte == 0) {
        if name.is_empty() || name.starts_with(OVERLAY) {
            continue;
        }
        let name = OsStr::from_bytes(name);
        let length = lgetxattr(from, name, buffer.as_mut_slice())?;
        lsetxattr(to, name, &buffer[..length], XattrFlags::empty())?;
    }
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(found.atime(), found.atime_nsec()),
        last_modification: time(found.mtime(), found.mtime_nsec()),
    };
    Ok(utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn is_opaque(directory: &Path) -> io::Result<bool> {
    let mut value = [0];
    match lgetxattr(directory, "trusted.overlay.opaque", &mut value[..]) {
        Ok(length) => Ok(length == 1 && value == *b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn remove(path: &Path, found: Option<&Metadata>) -> io::Result<()> {
    match found {
        None => Ok(()),
        Some(found) if found.is_dir() => remove_tree(path),
        Some(_) => fs::remove_file(path),
    }
}
