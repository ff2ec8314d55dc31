//! Places in a container's tree of files, found without being led out of it.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2};
use rustix::fs::{statat, unlinkat};
use rustix::io::Errno;

use crate::SetupError;
use crate::error::Step as _;
use crate::removal::remove_tree;

/// The directory `path`, made if missing. Links on the way are followed as the container
/// would follow them: not out of its root, not even through /proc (openat2(2), Linux 5.6).
pub(crate) fn directory(path: &Path) -> Result<OwnedFd, SetupError> {
    let step = || format!("open {}", path.display());
    let (flags, mode) = (OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let root = openat(CWD, "/", flags, mode).step(step)?;
    match openat2(&root, path, flags, mode, resolve) {
        Ok(found) => return Ok(found),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error).step(step),
    }
    let (parent, name) = split(path)?;
    let parent = directory(parent)?;
    mkdirat(&parent, name, Mode::from_raw_mode(0o755))
        .step(|| format!("mkdir {}", path.display()))?;
    openat(&parent, name, flags | OFlags::NOFOLLOW, mode).step(step)
}

/// The file `path`, made if missing. A link there is replaced: it could lead anywhere.
pub(crate) fn file(path: &Path) -> Result<OwnedFd, SetupError> {
    let (parent, name) = split(path)?;
    let parent = directory(parent)?;
    let step = || format!("create {}", path.display());
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let make = || {
        let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
        openat(&parent, name, flags, Mode::from_raw_mode(0o644))
    };
    match make() {
        Err(Errno::EXIST) => {}
        made => return made.step(step),
    }
    let kind = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .step(|| format!("lstat {}", path.display()))?;
    if FileType::from_raw_mode(kind.st_mode) == FileType::Symlink {
        let empty = AtFlags::empty();
        unlinkat(&parent, name, empty).step(|| format!("unlink {}", path.display()))?;
        return make().step(step);
    }
    openat(&parent, name, flags | OFlags::PATH, Mode::empty()).step(step)
}

/// What is at `path` below `directory`, with no link on the way and none at the end.
pub(super) fn beneath(directory: &Path, path: &Path) -> Result<OwnedFd, SetupError> {
    let step = || format!("open {}", directory.join(path).display());
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let directory = openat(CWD, directory, flags | OFlags::DIRECTORY, Mode::empty()).step(step)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    openat2(&directory, path, flags, Mode::empty(), resolve).step(step)
}

/// Makes the directories of `path` below `directory` that are missing. No link is followed.
pub(crate) fn make_beneath(directory: &Path, path: &Path) -> Result<OwnedFd, SetupError> {
    let (flags, mode) = (OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let mut at =
        openat(CWD, directory, flags, mode).step(|| format!("open {}", directory.display()))?;
    for part in path {
        match mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(error).step(|| format!("mkdir {}", directory.join(path).display()));
            }
        }
        at = openat(&at, part, flags | OFlags::NOFOLLOW, mode)
            .step(|| format!("open {}", directory.join(path).display()))?;
    }
    Ok(at)
}

/// Removes the directory `path` below `directory` and all in it, if it is there. No link is
/// followed, and one in the way is an error.
pub(crate) fn remove_beneath(directory: &Path, path: &Path) -> Result<(), SetupError> {
    let (parent, name) = split(path)?;
    let parent = match beneath(directory, parent) {
        Err(error) if error.errno == Some(libc::ENOENT) => return Ok(()),
        parent => parent?,
    };
    let place = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(name);
    remove_tree(&place).step(|| format!("remove {}", directory.join(path).display()))
}

fn split(path: &Path) -> Result<(&Path, &OsStr), SetupError> {
    path.parent()
        .zip(path.file_name())
        .ok_or_else(|| SetupError::new(format!("open {}", path.display()), "it has no name"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_missing_is_made() {
        let top = tempfile::tempdir().unwrap();
        directory(&top.path().join("a/b/c")).unwrap();
        assert!(top.path().join("a/b/c").is_dir());
        file(&top.path().join("d/e")).unwrap();
        fs::write(top.path().join("d/e"), "kept").unwrap();
        file(&top.path().join("d/e")).unwrap();
        assert_eq!(fs::read_to_string(top.path().join("d/e")).unwrap(), "kept");
        symlink("/etc/passwd", top.path().join("link")).unwrap();
        file(&top.path().join("link")).unwrap();
        assert!(top.path().join("link").symlink_metadata().unwrap().is_file());
    }

    #[test]
    fn no_link_of_proc_is_followed() {
        let top = tempfile::tempdir().unwrap();
        symlink("/proc/self/root", top.path().join("out")).unwrap();
        let error = directory(&top.path().join("out/tmp")).unwrap_err();
        assert_eq!(error.errno, Some(libc::ELOOP), "{error}");
        symlink("/nowhere/at/all", top.path().join("dangling")).unwrap();
        let error = directory(&top.path().join("dangling")).unwrap_err();
        assert!(error.to_string().starts_with("mkdir "), "{error}");
    }

    #[test]
    fn beneath_means_without_any_link() {
        let top = tempfile::tempdir().unwrap();
        make_beneath(top.path(), Path::new("made/below")).unwrap();
        make_beneath(top.path(), Path::new("made/below/too")).unwrap();
        assert!(top.path().join("made/below/too").is_dir());
        fs::create_dir(top.path().join("real")).unwrap();
        symlink("real", top.path().join("link")).unwrap();
        beneath(top.path(), Path::new("real")).unwrap();
        for path in ["link", "../x", "real/../.."] {
            assert!(beneath(top.path(), Path::new(path)).is_err(), "{path}");
        }
        for path in ["made/below", "made/below", "nowhere/below"] {
            remove_beneath(top.path(), Path::new(path)).unwrap();
        }
        assert!(top.path().join("made").is_dir() && !top.path().join("made/below").exists());
        fs::create_dir(top.path().join("real/kept")).unwrap();
        assert!(remove_beneath(top.path(), Path::new("link/kept")).is_err());
        assert!(top.path().join("real/kept").is_dir());
        let error = make_beneath(top.path(), Path::new("link/x")).unwrap_err();
        assert_eq!(error.errno, Some(libc::ENOTDIR), "{error}");
        assert!(!top.path().join("real/x").exists());
    }
}
