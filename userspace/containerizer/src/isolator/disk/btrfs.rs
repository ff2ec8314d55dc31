//! Limits of btrfs: a container's directories become subvolumes, and a qgroup of theirs counts
//! and limits what they take together. Needs `btrfs quota enable`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Setter, Updater, ioctl, opcode};

use crate::Error;
use crate::error::At as _;
use crate::image::copy;
use crate::removal::remove_tree;

/// Of statfs(2).
pub(super) const MAGIC: u64 = 0x9123_683e;
/// The inode of a subvolume's root directory.
const ROOT: u64 = 256;
/// The level of groups of groups; below it are the subvolumes' own.
const LEVEL: u64 = 1 << 48;
/// `BTRFS_QGROUP_LIMIT_MAX_RFER`: what can be reached is limited.
const REFERENCED: u64 = 1;
/// `BTRFS_QGROUP_LIMIT` of none.
const NONE: u64 = u64::MAX;

/// `struct btrfs_ioctl_vol_args` (linux/btrfs.h), and so on below.
#[repr(C)]
struct Volume {
    fd: i64,
    name: [u8; 4088],
}

#[repr(C)]
struct Assign {
    on: u64,
    source: u64,
    target: u64,
}

#[repr(C)]
struct Create {
    on: u64,
    group: u64,
}

#[repr(C)]
struct Limit {
    group: u64,
    flags: u64,
    referenced: u64,
    exclusive: u64,
    reserved: [u64; 2],
}

#[repr(C)]
struct Lookup {
    tree: u64,
    inode: u64,
    name: [u8; 4080],
}

#[repr(C)]
struct Filesystem {
    devices: [u64; 2],
    id: [u8; 16],
    rest: [u8; 992],
}

const SUBVOLUME_CREATE: Opcode = opcode::write::<Volume>(0x94, 14);
const INODE_LOOKUP: Opcode = opcode::read_write::<Lookup>(0x94, 18);
const FILESYSTEM: Opcode = opcode::read::<Filesystem>(0x94, 31);
const GROUP_ASSIGN: Opcode = opcode::write::<Assign>(0x94, 41);
const GROUP_CREATE: Opcode = opcode::write::<Create>(0x94, 42);
const GROUP_LIMIT: Opcode = opcode::read::<Limit>(0x94, 43);

/// Whether the btrfs of `directory` counts what subvolumes take.
pub(super) fn counts(directory: &Path) -> Result<bool, Error> {
    Ok(groups(directory)?.is_dir())
}

/// Whether `directory` is a subvolume.
pub(super) fn is_subvolume(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir() && found.ino() == ROOT)
}

/// Makes the directories `sandbox` and `scratch` subvolumes, in one group of their own. What is
/// in them already comes along, its data shared.
///
/// What an agent that was killed in the midst of this leaves, [`release`] removes.
pub(super) fn confine(sandbox: &Path, scratch: &Path) -> Result<(), Error> {
    let draft = draft(scratch);
    create(&draft)?;
    let group = LEVEL | tree(&draft)?;
    call_create(&draft, group, true)?;
    replace(sandbox, &draft, group)?;
    if scratch.exists() { join(scratch, group) } else { Ok(()) }
}

/// Makes the directory `scratch` of a container that is nested a subvolume in the group of
/// `sandbox`, which [`confine`] made, if the former is there.
pub(super) fn confine_nested(sandbox: &Path, scratch: &Path) -> Result<(), Error> {
    if scratch.exists() { join(scratch, LEVEL | tree(sandbox)?) } else { Ok(()) }
}

fn join(scratch: &Path, group: u64) -> Result<(), Error> {
    let draft = draft(scratch);
    create(&draft)?;
    replace(scratch, &draft, group)
}

/// Puts the empty subvolume `draft` in the place of `directory`, in `group`, with all that is
/// there.
fn replace(directory: &Path, draft: &Path, group: u64) -> Result<(), Error> {
    // In the group before there is anything in it that would have to be counted.
    call_assign(draft, tree(draft)?, group, true)?;
    copy(&[directory.to_owned()], draft).map_err(|(path, source)| Error::Io {
        operation: "copy",
        path,
        source,
    })?;
    // In one step: there is a directory at all times.
    renameat_with(CWD, draft, CWD, directory, RenameFlags::EXCHANGE).at("rename", directory)?;
    remove(draft)
}

/// Sets or takes away the limit of the group of `sandbox`, in bytes.
pub(super) fn limit(sandbox: &Path, bytes: Option<u64>) -> Result<(), Error> {
    let group = LEVEL | tree(sandbox)?;
    let referenced = bytes.unwrap_or(NONE);
    let limit = Limit { group, flags: REFERENCED, referenced, exclusive: 0, reserved: [0; 2] };
    let directory = outside(sandbox)?;
    // SAFETY: the call reads a structure of this layout, of the size in its number.
    unsafe { ioctl(directory.as_fd(), Setter::<GROUP_LIMIT, Limit>::new(limit)) }
        .at("btrfs qgroup limit", sandbox)
}

/// What the group of `sandbox` takes, in bytes, with what is yet to be written.
pub(super) fn used(sandbox: &Path) -> Result<u64, Error> {
    let directory = groups(sandbox)?.join(format!("1_{}", tree(sandbox)?));
    let read = |name: &str| {
        let path = directory.join(name);
        let text = fs::read_to_string(&path).at("read", &path)?;
        text.trim().parse::<u64>().map_err(io::Error::other).at("read", &path)
    };
    Ok(read("referenced")?.saturating_add(read("rsv_data")?))
}

/// Ends the group of `sandbox`, and removes `scratch` and what was on the way to become a
/// subvolume. The sandbox stays, without a limit.
pub(super) fn release(sandbox: &Path, scratch: &Path) -> Result<(), Error> {
    let draft = draft(scratch);
    if is_subvolume(sandbox) {
        for part in [scratch, &draft] {
            leave(part, LEVEL | tree(sandbox)?)?;
        }
        end(sandbox)?;
    } else if is_subvolume(&draft) {
        // It was going to be the sandbox.
        end(&draft)?;
    }
    remove(&draft)?;
    remove(scratch)
}

/// The same for a container that is nested in that of `sandbox`.
pub(super) fn release_nested(sandbox: &Path, scratch: &Path) -> Result<(), Error> {
    let draft = draft(scratch);
    if is_subvolume(sandbox) {
        for part in [scratch, &draft] {
            leave(part, LEVEL | tree(sandbox)?)?;
        }
    }
    remove(&draft)?;
    remove(scratch)
}

/// Takes a subvolume out of a group.
fn leave(part: &Path, group: u64) -> Result<(), Error> {
    if !is_subvolume(part) {
        return Ok(());
    }
    ignoring(call_assign(part, tree(part)?, group, false), &[libc::ENOENT, libc::ENOTCONN])
}

/// Ends the group of a sandbox.
fn end(sandbox: &Path) -> Result<(), Error> {
    let group = LEVEL | tree(sandbox)?;
    leave(sandbox, group)?;
    // Gone already, or quotas have been switched off meanwhile.
    ignoring(call_create(sandbox, group, false), &[libc::ENOENT, libc::ENOTCONN])
}

fn draft(scratch: &Path) -> PathBuf {
    let mut name = scratch.as_os_str().to_owned();
    name.push(".subvolume");
    name.into()
}

/// Removes a tree, a subvolume too (rmdir(2) of one, Linux 4.18).
fn remove(path: &Path) -> Result<(), Error> {
    remove_tree(path).at("remove", path)
}

/// Where the kernel shows the groups (Linux 5.9); not there while it counts nothing.
fn groups(directory: &Path) -> Result<PathBuf, Error> {
    let opened = File::open(directory).at("open", directory)?;
    // SAFETY: the call fills in a structure of this layout, of the size in its number.
    let found = unsafe { ioctl(opened.as_fd(), Getter::<FILESYSTEM, Filesystem>::new()) };
    let id = found.at("btrfs filesystem", directory)?.id;
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let parts = [&id[..4], &id[4..6], &id[6..8], &id[8..10], &id[10..]].map(hex);
    Ok(Path::new("/sys/fs/btrfs").join(parts.join("-")).join("qgroups"))
}

/// The number of the subvolume that `directory` is in.
fn tree(directory: &Path) -> Result<u64, Error> {
    let opened = File::open(directory).at("open", directory)?;
    let mut lookup = Lookup { tree: 0, inode: ROOT, name: [0; 4080] };
    // SAFETY: the call reads and fills in a structure of this layout, of the size in its number.
    unsafe { ioctl(opened.as_fd(), Updater::<INODE_LOOKUP, Lookup>::new(&mut lookup)) }
        .at("btrfs subvolume of", directory)?;
    Ok(lookup.tree)
}

fn create(path: &Path) -> Result<(), Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL).at("btrfs subvolume create", path);
    };
    let name = name.as_encoded_bytes();
    let mut volume = Volume { fd: 0, name: [0; 4088] };
    // One byte is left, which ends it.
    let Some(place) = volume.name.get_mut(..name.len()).filter(|_| name.len() < 256) else {
        return Err(Errno::NAMETOOLONG).at("btrfs subvolume create", path);
    };
    place.copy_from_slice(name);
    let parent = File::open(parent).at("open", parent)?;
    // SAFETY: the call reads a structure of this layout, of the size in its number.
    unsafe { ioctl(parent.as_fd(), Setter::<SUBVOLUME_CREATE, Volume>::new(volume)) }
        .at("btrfs subvolume create", path)
}

/// The directory that a subvolume is in. What is asked of groups by a directory in one of them
/// takes of its limit, and would be refused when there is nothing left of that.
fn outside(subvolume: &Path) -> Result<File, Error> {
    let directory = subvolume.parent().unwrap_or(subvolume);
    File::open(directory).at("open", directory)
}

fn call_assign(directory: &Path, source: u64, target: u64, assign: bool) -> Result<(), Error> {
    let opened = outside(directory)?;
    let call = Assign { on: assign.into(), source, target };
    // SAFETY: the call reads a structure of this layout, of the size in its number.
    let assigned = unsafe { ioctl(opened.as_fd(), Setter::<GROUP_ASSIGN, Assign>::new(call)) };
    assigned.at("btrfs qgroup assign", directory)
}

fn call_create(directory: &Path, group: u64, create: bool) -> Result<(), Error> {
    let opened = outside(directory)?;
    let call = Create { on: create.into(), group };
    set_group(opened.as_fd(), call).at("btrfs qgroup create", directory)
}

fn set_group(directory: BorrowedFd<'_>, call: Create) -> Result<(), Errno> {
    // SAFETY: the call reads a structure of this layout, of the size in its number.
    unsafe { ioctl(directory, Setter::<GROUP_CREATE, Create>::new(call)) }
}

fn ignoring(done: Result<(), Error>, errors: &[i32]) -> Result<(), Error> {
    match done {
        Err(Error::Io { source, .. })
            if source.raw_os_error().is_some_and(|error| errors.contains(&error)) =>
        {
            Ok(())
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;

    #[test]
    fn calls_have_the_kernels_numbers() {
        assert_eq!(size_of::<Filesystem>(), 1024);
        let numbers = [
            (SUBVOLUME_CREATE, 0x5000_940e),
            (INODE_LOOKUP, 0xd000_9412),
            (FILESYSTEM, 0x8400_941f),
            (GROUP_ASSIGN, 0x4018_9429),
            (GROUP_CREATE, 0x4010_942a),
            (GROUP_LIMIT, 0x8030_942b),
        ];
        for (ours, kernels) in numbers {
            assert_eq!(ours, kernels, "{kernels:x}");
        }
    }

    #[test]
    fn an_ordinary_directory_is_no_subvolume() {
        let top = tempfile::tempdir().unwrap();
        assert!(!is_subvolume(top.path()) && !is_subvolume(Path::new("/nowhere")));
        let (sandbox, scratch) = (top.path().join("s"), top.path().join(".s.rootfs"));
        fs::create_dir_all(&scratch).unwrap();
        fs::create_dir(&sandbox).unwrap();
        release(&sandbox, &scratch).unwrap();
        assert!(sandbox.exists() && !scratch.exists());
    }
}
