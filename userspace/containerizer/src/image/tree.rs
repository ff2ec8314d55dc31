//! A directory that is filled from an untrusted archive.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, XattrFlags, fstat, lsetxattr, makedev, mkdirat,
    mknodat, open, openat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

use super::limits::Meter;
use crate::removal::remove_tree;

/// overlayfs' mark of a directory that hides those below it.
const OPAQUE: &str = "trusted.overlay.opaque";

/// What stood at a place before it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Nothing,
    /// A whiteout: what is there in lower layers is gone.
    Whiteout,
    /// A directory that was kept.
    Directory,
    /// Something else; it has been removed.
    Other,
}

/// A root directory, outside of which nothing is ever touched: every path is resolved by
/// the kernel as if this were `/`, symbolic links included.
pub(crate) struct Tree<'a> {
    /// What it may have.
    meter: &'a Meter<'a>,
    root: OwnedFd,
    /// The directory of the entry before: archives are sorted by directory.
    recent: Option<(PathBuf, OwnedFd)>,
    /// Directories that were made because something below them was.
    implied: BTreeSet<PathBuf>,
}

/// A name in a directory of a tree.
pub(crate) struct Place<'a> {
    /// The directory, open.
    pub(crate) parent: BorrowedFd<'a>,
    /// The name in it.
    pub(crate) name: OsString,
}

impl<'a> Tree<'a> {
    /// The tree below the directory `root`.
    pub(crate) fn open(root: &Path, meter: &'a Meter<'a>) -> io::Result<Self> {
        let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { meter, root, recent: None, implied: BTreeSet::new() })
    }

    /// The root directory.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The place of `path`, relative and made of names only. Missing directories on the way
    /// are made.
    pub(crate) fn place(&mut self, path: &Path) -> io::Result<Place<'_>> {
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent, name.to_owned()),
            _ => return Err(Errno::INVAL.into()),
        };
        if parent.as_os_str().is_empty() {
            return Ok(Place { parent: self.root.as_fd(), name });
        }
        if self.recent.as_ref().is_none_or(|(recent, _)| recent != parent) {
            let fd = self.directory(parent)?;
            // Links may lead deeper than the path is long.
            let depth = self.real(fd.as_fd())?.components().count() + 1;
            self.meter.limits().depth(depth).map_err(io::Error::other)?;
            self.recent = Some((parent.to_owned(), fd));
        }
        match &self.recent {
            Some((_, fd)) => Ok(Place { parent: fd.as_fd(), name }),
            None => Err(Errno::NOENT.into()),
        }
    }

    /// The directory at `path`, made if missing, open for use as an anchor.
    fn directory(&mut self, path: &Path) -> io::Result<OwnedFd> {
        match self.existing(path) {
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR) => {
                return Err(io::Error::other("its parent is not a directory"));
            }
            found => return Ok(found?),
        }
        let name = path.file_name().ok_or(Errno::NOENT)?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.directory(parent)?,
            _ => self.root.try_clone()?,
        };
        match mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                self.meter.entries(1).map_err(io::Error::other)?;
                let made = self.existing(path)?;
                let real = self.real(made.as_fd())?;
                self.implied.insert(real);
                Ok(made)
            }
            Err(Errno::EXIST) => Err(io::Error::other("its parent is a dangling symbolic link")),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes note that the directory at `path` has an entry of its own.
    pub(crate) fn is_named(&mut self, path: &Path) -> io::Result<()> {
        if self.implied.is_empty() {
            return Ok(());
        }
        let place = self.place(path)?;
        let (parent, name) = (place.parent.try_clone_to_owned()?, place.name);
        let real = self.real(parent.as_fd())?.join(name);
        self.implied.remove(&real);
        Ok(())
    }

    /// The directories that were made though nobody said what they are like, by their paths
    /// without links. Some may be gone again.
    pub(crate) fn into_implied(self) -> BTreeSet<PathBuf> {
        self.implied
    }

    /// Where the directory `fd` is below the root.
    fn real(&self, fd: BorrowedFd<'_>) -> io::Result<PathBuf> {
        let path =
            |fd: BorrowedFd<'_>| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
        let (root, path) = (path(self.root.as_fd())?, path(fd)?);
        path.strip_prefix(root).map(Path::to_owned).map_err(io::Error::other)
    }

    /// The directory at `path`, links resolved below the root.
    pub(crate) fn existing(&self, path: &Path) -> Result<OwnedFd, Errno> {
        openat2(
            &self.root,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV,
        )
    }

    /// Removes what is at `path`, except a directory if `keep_directory`.
    pub(crate) fn clear(&mut self, path: &Path, keep_directory: bool) -> io::Result<Before> {
        let place = self.place(path)?;
        let before = place.before()?;
        match before {
            Before::Nothing => {}
            Before::Directory if keep_directory => {}
            Before::Directory => {
                remove_tree(&place.procfs_path())?;
                // It may have been, or have held, the recent one.
                self.recent = None;
            }
            Before::Whiteout | Before::Other => {
                unlinkat(place.parent, &place.name, AtFlags::empty())?;
                self.recent = None;
            }
        }
        Ok(before)
    }
}

impl Place<'_> {
    /// What is here.
    pub(crate) fn before(&self) -> io::Result<Before> {
        let stat = match statat(self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Before::Nothing),
            stat => stat?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Before::Directory,
            FileType::CharacterDevice if stat.st_rdev == 0 => Before::Whiteout,
            _ => Before::Other,
        })
    }

    /// A new file here, open for writing.
    pub(crate) fn create(&self) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(self.parent, &self.name, flags | OFlags::NOFOLLOW, Mode::RUSR)?.into())
    }

    /// Hides what lower layers have here.
    pub(crate) fn whiteout(&self) -> io::Result<()> {
        Ok(mknodat(
            self.parent,
            &self.name,
            FileType::CharacterDevice,
            Mode::empty(),
            makedev(0, 0),
        )?)
    }

    /// Makes the directory here hide those of lower layers.
    pub(crate) fn make_opaque(&self) -> io::Result<()> {
        self.set_attribute(OsStr::new(OPAQUE), b"y")
    }

    /// Sets an extended attribute, of a link itself and not of its target.
    pub(crate) fn set_attribute(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        Ok(lsetxattr(self.procfs_path(), name, value, XattrFlags::empty())?)
    }

    /// A path for calls without an `at` form: only its last component can be a link.
    fn procfs_path(&self) -> PathBuf {
        Path::new(&format!("/proc/self/fd/{}", self.parent.as_raw_fd())).join(&self.name)
    }
}

/// Makes the directory `fd` hide those of lower layers.
pub(crate) fn make_opaque(fd: BorrowedFd<'_>) -> io::Result<()> {
    // Setting attributes needs more than a path descriptor.
    debug_assert!(fstat(fd).is_ok());
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(rustix::fs::setxattr(path, OPAQUE, b"y", XattrFlags::empty())?)
}
