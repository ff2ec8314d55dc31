//! Removing what may be gone already.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat,
    unlinkat,
};
use rustix::io::Errno;

/// Directories above the one at hand that are kept open. Below that the way up is `..`, so that
/// no depth takes more descriptors.
const HELD: usize = 64;

/// A directory on the way down.
struct Level {
    /// Its name in the one above.
    name: CString,
    /// Device and inode.
    id: (u64, u64),
    /// Itself, unless it is too deep to be kept open while those below are removed.
    open: Option<OwnedFd>,
    /// Directories in it that are still there.
    below: Vec<CString>,
}

/// Removes a directory and all in it, if it is there, or the link that `directory` is. However
/// deep it is, this takes no more descriptors (the library's function takes one for each level).
/// What others remove meanwhile is no error.
///
/// # Errors
/// Something of it cannot be removed, or is a mount (`EXDEV`), which is not entered (openat2(2),
/// Linux 5.6); or a directory was moved meanwhile (`ESTALE`).
pub fn remove_tree(directory: &Path) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match openat(CWD, directory, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) if directory.is_symlink() => {
            return Ok(gone(unlinkat(CWD, directory, AtFlags::empty()))?);
        }
        opened => opened?,
    };
    empty(top)?;
    Ok(gone(unlinkat(CWD, directory, AtFlags::REMOVEDIR))?)
}

/// Removes all in a directory.
fn empty(top: OwnedFd) -> Result<(), Errno> {
    let mut levels = vec![level(top, CString::default())?];
    while let Some(last) = levels.last_mut() {
        let Some(current) = &last.open else { return Err(Errno::STALE) };
        if let Some(name) = last.below.pop() {
            let Some(opened) = enter(current.as_fd(), &name)? else { continue };
            if levels.len() > HELD
                && let Some(above) = levels.last_mut()
            {
                above.open = None;
            }
            levels.push(level(opened, name)?);
            continue;
        }
        let Some(Level { name, open: Some(done), .. }) = levels.pop() else { break };
        let Some(above) = levels.last_mut() else { break };
        let open = match above.open.take() {
            Some(open) => open,
            None => up(&done, above.id)?,
        };
        drop(done);
        gone(unlinkat(&open, &name, AtFlags::REMOVEDIR))?;
        above.open = Some(open);
    }
    Ok(())
}

/// Removes all in an open directory but directories.
fn level(open: OwnedFd, name: CString) -> Result<Level, Errno> {
    let mut below = Vec::new();
    for entry in Dir::read_from(&open)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if is_directory(open.as_fd(), name, entry.file_type())? {
            below.push(name.to_owned());
        } else {
            gone(unlinkat(&open, name, AtFlags::empty()))?;
        }
    }
    let found = fstat(&open)?;
    Ok(Level { name, id: (found.st_dev, found.st_ino), open: Some(open), below })
}

fn is_directory(parent: BorrowedFd<'_>, name: &CStr, told: FileType) -> Result<bool, Errno> {
    if told != FileType::Unknown {
        return Ok(told.is_dir());
    }
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(false),
        found => Ok(FileType::from_raw_mode(found?.st_mode).is_dir()),
    }
}

/// Opens a directory; `None` if it is gone.
fn enter(parent: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(parent, name, flags, Mode::empty(), resolve) {
        Err(Errno::NOENT) => Ok(None),
        opened => opened.map(Some),
    }
}

/// The directory above `below`, which is to be `id`.
fn up(below: &OwnedFd, id: (u64, u64)) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let above = openat(below, "..", flags, Mode::empty())?;
    let found = fstat(&above)?;
    if (found.st_dev, found.st_ino) == id { Ok(above) } else { Err(Errno::STALE) }
}

fn gone(removed: Result<(), Errno>) -> Result<(), Errno> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    #[test]
    fn all_goes_and_nothing_that_links_lead_to() {
        let (top, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tree = top.path().join("tree");
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir_all(tree.join("a/d")).unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        fs::write(other.path().join("kept"), "x").unwrap();
        symlink(other.path(), tree.join("a/link")).unwrap();
        symlink("nowhere", tree.join("dangling")).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&tree).unwrap();
        symlink(other.path(), &tree).unwrap();
        remove_tree(&tree).unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
        assert!(other.path().join("kept").exists());
        assert!(remove_tree(&other.path().join("kept")).is_err(), "a file is no tree");
    }

    #[test]
    fn no_depth_takes_more_descriptors() {
        let top = tempfile::tempdir().unwrap();
        let tree = top.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let mut directory: OwnedFd = fs::File::open(&tree).unwrap().into();
        // Deeper than any path can be long, and with something beside each step of it.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        for _ in 0..1500 {
            for name in ["a", "d"] {
                rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)).unwrap();
            }
            let create = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(&directory, "file", create, Mode::RUSR).unwrap();
            directory = openat(&directory, "d", flags, Mode::empty()).unwrap();
        }
        drop(directory);
        // Tests have a process each: no other one has less for it.
        let usual = getrlimit(Resource::Nofile);
        let few = Rlimit { current: Some(256), ..usual };
        setrlimit(Resource::Nofile, few).unwrap();
        remove_tree(&tree).unwrap();
        setrlimit(Resource::Nofile, usual).unwrap();
        assert!(!tree.exists());
    }

    #[test]
    fn mounts_are_not_emptied() {
        if !crate::testing::is_root() {
            return;
        }
        let (top, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let bound = top.path().join("a/bound");
        fs::create_dir_all(&bound).unwrap();
        fs::write(other.path().join("kept"), "x").unwrap();
        rustix::mount::mount_bind(other.path(), &bound).unwrap();
        let removed = remove_tree(&top.path().join("a"));
        rustix::mount::unmount(&bound, rustix::mount::UnmountFlags::DETACH).unwrap();
        assert_eq!(removed.unwrap_err().raw_os_error(), Some(libc::EXDEV));
        assert!(other.path().join("kept").exists());
        remove_tree(&top.path().join("a")).unwrap();
    }
}
