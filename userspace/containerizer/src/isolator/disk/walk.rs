//! Going over files of a container while it may change them.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags,
    openat, openat2, statx,
};
use rustix::io::Errno;

use crate::Error;
use crate::error::At as _;

/// Directories above the one at hand that are kept open. Below that the way up is `..`, so
/// that no depth takes more descriptors.
const HELD: usize = 64;
/// The unit of `st_blocks`.
pub(super) const BLOCK: u64 = 512;

/// What files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Bytes of their blocks.
    pub(super) bytes: u64,
    /// Files and directories, however many names each has; 0 where they are not counted.
    pub(super) inodes: u64,
}

/// A directory on the way down.
struct Level {
    /// Device and inode.
    id: (u32, u32, u64),
    /// Itself, unless it is too deep to be kept open while those below are gone over.
    open: Option<OwnedFd>,
    /// Directories in it that are still to be gone over.
    below: Vec<CString>,
}

/// What the files in the directories `roots` take, each file once however many names it has in
/// them. What is mounted there does not count; a root that is not
/// there is empty. Files that go meanwhile may count or not.
pub(super) fn used<P: AsRef<Path>>(roots: &[P]) -> Result<Used, Error> {
    let mut used = Used::default();
    let mut linked = HashSet::new();
    for root in roots {
        visit(root.as_ref(), &mut |_, _, found| {
            let directory = FileType::from_raw_mode(found.stx_mode.into()).is_dir();
            if directory || found.stx_nlink < 2 || linked.insert(id(found)) {
                used.inodes += 1;
                used.bytes = used.bytes.saturating_add(found.stx_blocks.saturating_mul(BLOCK));
            }
            Ok(())
        })?;
    }
    Ok(used)
}

/// Calls `each` with every file and directory of the tree `root`, itself among them: the open
/// directory that it is in, its name there (`.` for the root), and what it is. No link is
/// followed, and no mount entered (openat2(2), Linux 5.6).
pub(super) fn visit(
    root: &Path,
    each: &mut dyn FnMut(BorrowedFd<'_>, &std::ffi::CStr, &Statx) -> Result<(), Errno>,
) -> Result<(), Error> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(CWD, root, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened.at("open", root)?,
    };
    let found = look(opened.as_fd(), c"").at("statx", root)?;
    each(opened.as_fd(), c".", &found).at("visit", root)?;
    let mut levels = vec![level(opened, &found, each).at("read", root)?];
    while let Some(last) = levels.last_mut() {
        let Some(current) = last.open.as_ref() else { break };
        if let Some(name) = last.below.pop() {
            let Some(opened) = enter(current.as_fd(), &name).at("open below", root)? else {
                continue;
            };
            let found = look(opened.as_fd(), c"").at("statx below", root)?;
            if levels.len() > HELD
                && let Some(above) = levels.last_mut()
            {
                above.open = None;
            }
            levels.push(level(opened, &found, each).at("read below", root)?);
        } else {
            let done = levels.pop().and_then(|level| level.open);
            climb(&mut levels, done.as_ref()).at("open .. below", root)?;
        }
    }
    Ok(())
}

/// Makes the last level an open one, coming from `done` below it. Where that is in another
/// directory by now, what is left at that depth is passed over: it has been moved meanwhile.
fn climb(levels: &mut Vec<Level>, done: Option<&OwnedFd>) -> Result<(), Errno> {
    let Some(last) = levels.last_mut() else { return Ok(()) };
    if last.open.is_some() {
        return Ok(());
    }
    if let Some(done) = done {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let above = openat(done, "..", flags, Mode::empty())?;
        if id(&look(above.as_fd(), c"")?) == last.id {
            last.open = Some(above);
            return Ok(());
        }
    }
    while levels.last().is_some_and(|level| level.open.is_none()) {
        levels.pop();
    }
    Ok(())
}

/// Reads an open directory, and calls `each` with all in it.
fn level(
    open: OwnedFd,
    found: &Statx,
    each: &mut dyn FnMut(BorrowedFd<'_>, &std::ffi::CStr, &Statx) -> Result<(), Errno>,
) -> Result<Level, Errno> {
    let mut below = Vec::new();
    for entry in Dir::read_from(&open)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let found = match look(open.as_fd(), name) {
            Err(Errno::NOENT) => continue,
            found => found?,
        };
        if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
            continue;
        }
        match each(open.as_fd(), name, &found) {
            Err(Errno::NOENT) => continue,
            visited => visited?,
        }
        if FileType::from_raw_mode(found.stx_mode.into()).is_dir() {
            below.push(name.to_owned());
        }
    }
    Ok(Level { id: id(found), open: Some(open), below })
}

/// Opens the directory `name`; `None` if it is none any more, or has become a mount.
fn enter(directory: BorrowedFd<'_>, name: &CString) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(directory, name.as_c_str(), flags, Mode::empty(), resolve) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
        opened => opened.map(Some),
    }
}

fn look(directory: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<Statx, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    statx(directory.as_fd(), name, flags, StatxFlags::BASIC_STATS)
}

fn id(found: &Statx) -> (u32, u32, u64) {
    (found.stx_dev_major, found.stx_dev_minor, found.stx_ino)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};
    use std::path::PathBuf;

    use super::*;

    /// What the files at `paths` take, by lstat.
    fn blocks(paths: &[PathBuf]) -> u64 {
        paths.iter().map(|path| fs::symlink_metadata(path).unwrap().blocks() * 512).sum()
    }

    #[test]
    fn every_file_once_and_no_link_followed() {
        let (top, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = |name: &str| top.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        fs::write(path("a/one"), vec![1; 70_000]).unwrap();
        fs::write(path("a/b/two"), vec![1; 9_000]).unwrap();
        fs::hard_link(path("a/one"), path("a/b/again")).unwrap();
        fs::write(other.path().join("much"), vec![1; 1 << 20]).unwrap();
        symlink(other.path(), path("out")).unwrap();
        symlink(other.path().join("much"), path("much")).unwrap();
        // Of a file with holes only what is there.
        fs::File::create(path("holes")).unwrap().set_len(1 << 30).unwrap();
        let all = ["", "a", "a/b", "a/one", "a/b/two", "out", "much", "holes"].map(path);
        let counted = used(&[top.path()]).unwrap();
        assert_eq!(counted, Used { bytes: blocks(&all), inodes: 8 });
        let twice = [top.path(), &top.path().join("a")];
        assert!(used(&twice).unwrap().bytes < 2 * blocks(&all), "hard links over both count once");
        assert_eq!(used(&[top.path().join("nothing")]).unwrap(), Used::default());
    }

    #[test]
    fn no_depth_takes_more_descriptors() {
        let top = tempfile::tempdir().unwrap();
        let mut directory: OwnedFd = fs::File::open(top.path()).unwrap().into();
        // Deeper than any path can be long.
        let depth = 2100;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        for _ in 0..depth {
            rustix::fs::mkdirat(&directory, "d", Mode::from_raw_mode(0o755)).unwrap();
            directory = openat(&directory, "d", flags, Mode::empty()).unwrap();
        }
        let (mut seen, mut most) = (0, 0);
        visit(top.path(), &mut |_, _, _| {
            seen += 1;
            if seen % 500 == 0 {
                most = most.max(fs::read_dir("/proc/self/fd").unwrap().count());
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, depth + 1);
        assert!(most < 4 * HELD, "{most}");
        // The library's way to remove it takes a descriptor a level.
        crate::remove_tree(&top.path().join("d")).unwrap();
    }

    #[test]
    fn what_has_been_moved_away_is_passed_over() {
        let (top, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut path = top.path().to_owned();
        for _ in 0..HELD + 3 {
            path.push("d");
        }
        fs::create_dir_all(&path).unwrap();
        let deepest = path.clone();
        let mut moved = false;
        let mut seen = 0;
        visit(top.path(), &mut |_, name, _| {
            seen += 1;
            if seen == HELD + 4 && name == c"d" && !moved {
                moved = true;
                fs::rename(deepest.parent().unwrap(), other.path().join("d")).unwrap();
            }
            Ok(())
        })
        .unwrap();
        assert!(moved);
    }

    #[test]
    fn mounts_are_not_entered() {
        if !crate::testing::is_root() {
            return;
        }
        let (top, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(top.path().join("bound")).unwrap();
        fs::write(other.path().join("much"), vec![1; 1 << 20]).unwrap();
        let alone = used(&[top.path()]).unwrap().bytes;
        // The same filesystem, so that its device says nothing.
        rustix::mount::mount_bind(other.path(), top.path().join("bound")).unwrap();
        let beside = used(&[top.path()]);
        let flags = rustix::mount::UnmountFlags::DETACH;
        rustix::mount::unmount(top.path().join("bound"), flags).unwrap();
        let mount_point = blocks(&[top.path().join("bound")]);
        assert_eq!(beside.unwrap().bytes, alone - mount_point);
    }
}
