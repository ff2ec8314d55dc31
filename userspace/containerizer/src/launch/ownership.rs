//! Making files in a sandbox its user's.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, openat2, statat,
};
use rustix::io::Errno;

use super::identity::Identity;
use crate::SetupError;
use crate::error::Step as _;

/// Makes `file`, of whatever kind it is open, `identity`'s.
pub(super) fn give(file: BorrowedFd<'_>, identity: &Identity) -> Result<(), SetupError> {
    chown(file, Path::new(""), AtFlags::EMPTY_PATH, identity).step(|| "chown the sandbox".into())
}

/// Makes what is at `path` below `directory`, and all below that, `identity`'s. Links are given
/// themselves, and not followed.
pub(super) fn give_all(
    directory: BorrowedFd<'_>,
    path: &Path,
    identity: &Identity,
) -> Result<(), SetupError> {
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let step = || format!("chown {} in the sandbox", path.display());
        chown(directory, &path, AtFlags::SYMLINK_NOFOLLOW, identity).step(step)?;
        let stat = statat(directory, &path, AtFlags::SYMLINK_NOFOLLOW).step(step)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            children(directory, &path, &mut left).step(step)?;
        }
    }
    Ok(())
}

fn chown(
    directory: BorrowedFd<'_>,
    path: &Path,
    flags: AtFlags,
    identity: &Identity,
) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    chownat(directory, path, Some(user), Some(group), flags)
}

/// Adds what is in a directory. One descriptor at a time: it may be deep.
fn children(directory: BorrowedFd<'_>, path: &Path, left: &mut Vec<PathBuf>) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let opened = openat2(directory, path, flags, Mode::empty(), resolve)?;
    for entry in Dir::read_from(opened.as_fd())? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            left.push(path.join(OsStr::from_bytes(name)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn all_is_given_and_no_link_followed() {
        if !rustix::process::getuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "in CI this test must run, as root");
            return;
        }
        let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = top.path();
        fs::create_dir_all(path.join("a/b/c")).unwrap();
        fs::write(path.join("a/b/file"), "").unwrap();
        fs::write(path.join("other"), "").unwrap();
        fs::write(outside.path().join("file"), "").unwrap();
        symlink(outside.path(), path.join("a/link")).unwrap();
        let directory = File::open(path).unwrap();
        let (groups, home) = (Vec::new(), "/".to_owned());
        let identity = Identity { uid: 1234, gid: 56, groups, home };
        give_all(directory.as_fd(), Path::new("a"), &identity).unwrap();
        for name in ["a", "a/b", "a/b/c", "a/b/file", "a/link"] {
            let metadata = path.join(name).symlink_metadata().unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (1234, 56), "{name}");
        }
        for path in [path.join("other"), outside.path().into(), outside.path().join("file")] {
            assert_eq!(path.metadata().unwrap().uid(), 0, "{}", path.display());
        }
        let error = give_all(directory.as_fd(), Path::new("gone"), &identity).unwrap_err();
        assert!(error.to_string().starts_with("chown gone in the sandbox"), "{error}");
    }
}
