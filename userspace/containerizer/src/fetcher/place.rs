//! A sandbox, as a place for files from outside.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, chmodat, fchmod, linkat, mkdirat, open, openat,
    openat2, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// What a file is called until it is complete.
const DRAFT: &str = ".fetching~";

/// A directory, outside of which nothing is touched: no symbolic link is followed in it.
pub(super) struct Place {
    root: OwnedFd,
    /// The names in it under which something was put.
    made: BTreeSet<OsString>,
}

impl Place {
    /// The directory `root`.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let root = open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { root, made: BTreeSet::new() })
    }

    /// What was put into it: the uppermost names.
    pub(super) fn made(self) -> BTreeSet<OsString> {
        self.made
    }

    /// Puts a file at `path`, in place of one that is there: `fill` gives what is in it, and
    /// the file is not there before that has ended well.
    pub(super) fn file<E: From<io::Error>>(
        &mut self,
        path: &Path,
        mode: u32,
        fill: impl FnOnce(&mut File) -> Result<(), E>,
    ) -> Result<(), E> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        remove(&parent, OsStr::new(DRAFT))?;
        let draft = openat(&parent, DRAFT, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(draft.map_err(io::Error::from)?);
        let filled = fill(&mut file).and_then(|()| {
            fchmod(&file, Mode::from_raw_mode(mode & 0o777)).map_err(io::Error::from)?;
            let renamed = renameat(&parent, DRAFT, &parent, name);
            Ok(renamed.map_err(|error| match error {
                Errno::ISDIR => occupied(),
                error => error.into(),
            })?)
        });
        if filled.is_err() {
            // Why it could not be filled is what is to be told.
            let _ = remove(&parent, OsStr::new(DRAFT));
        }
        filled
    }

    /// The file at `path`, open for reading.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<File> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&parent, name, flags, Mode::empty())?.into())
    }

    /// Puts a directory at `path`, or gives the one that is there its mode.
    pub(super) fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let mode = Mode::from_raw_mode(mode & 0o777 | 0o700);
        match mkdirat(&parent, name, mode) {
            Ok(()) => {}
            Err(Errno::EXIST) if kind(&parent, name)? == Some(FileType::Directory) => {}
            Err(error) => return Err(error.into()),
        }
        // Whatever this process' umask.
        Ok(chmodat(&parent, name, mode, AtFlags::empty())?)
    }

    /// Puts a symbolic link at `path`. It may lead to what is in the sandbox, whether it is
    /// there yet or not: through no link on its way up, so that there is no way out.
    pub(super) fn symlink(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        if !stays_inside(path, target) {
            let target = target.display();
            let error = format!("a symbolic link to `{target}`, which leads out of the sandbox");
            return Err(io::Error::other(error));
        }
        let (parent, name) = self.parent(path)?;
        remove(&parent, name)?;
        Ok(symlinkat(target, &parent, name)?)
    }

    /// Puts another name of the file at `target` at `path`.
    pub(super) fn hard_link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        let (from, old) = self.parent(target)?;
        if kind(&from, old)? != Some(FileType::RegularFile) {
            let target = target.display();
            return Err(io::Error::other(format!("a hard link to `{target}`, which is no file")));
        }
        let (parent, name) = self.parent(path)?;
        if path != target {
            remove(&parent, name)?;
            linkat(&from, old, &parent, name, AtFlags::empty())?;
        }
        Ok(())
    }

    /// The directory in which `path` is, made if missing, and the name in it.
    fn parent<'a>(&mut self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::INVAL.into());
        };
        let directory = self.make(parent)?;
        if let Some(Component::Normal(first)) = path.components().next()
            && !self.made.contains(first)
        {
            self.made.insert(first.to_owned());
        }
        Ok((directory, name))
    }

    fn make(&self, path: &Path) -> io::Result<OwnedFd> {
        if path.as_os_str().is_empty() {
            return self.root.try_clone();
        }
        let found = openat2(
            &self.root,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        );
        match found {
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP) => {
                let path = path.display();
                return Err(io::Error::other(format!("`{path}` is, or is below, a symbolic link")));
            }
            found => return Ok(found?),
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT.into());
        };
        let above = self.make(above)?;
        mkdirat(&above, name, Mode::from_raw_mode(0o755))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&above, name, flags, Mode::empty())?)
    }
}

/// Removes a file or link; nothing if there is none.
fn remove(parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(occupied()),
        Err(error) => Err(error.into()),
    }
}

fn occupied() -> io::Error {
    io::Error::other("there is a directory of that name")
}

fn kind(parent: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
    match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the link `path` to `target` leads to the inside. The directories of `path` are no
/// links, so that each `..` at the beginning of `target` is one level; one further back could
/// be any number.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let depth = path.components().count().saturating_sub(1);
    let up = target.components().take_while(|part| *part == Component::ParentDir).count();
    let names = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    up <= depth && target.components().skip(up).all(names)
}

/// A path of an archive as names below a directory. Those that lead up are refused; as with
/// tar and unzip, a leading `/` is left out.
pub(super) fn inside(path: &Path) -> io::Result<PathBuf> {
    let mut names = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::other("a path with `..`"));
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn put(place: &mut Place, path: &str, text: &str) -> io::Result<()> {
        place.file(Path::new(path), 0o4755, |file| file.write_all(text.as_bytes()))
    }

    #[test]
    fn files_come_whole_or_not_at_all() {
        let top = tempfile::tempdir().unwrap();
        let mut place = Place::open(top.path()).unwrap();
        put(&mut place, "a/b/c", "one").unwrap();
        put(&mut place, "a/b/c", "two").unwrap();
        let path = top.path().join("a/b/c");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        let broken = place.file(Path::new("a/b/c"), 0o644, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("broken"))
        });
        assert_eq!(broken.unwrap_err().to_string(), "broken");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::read_dir(top.path().join("a/b")).unwrap().count(), 1);
        let error = put(&mut place, "a", "x").unwrap_err().to_string();
        assert!(error.contains("directory"), "{error}");
        assert_eq!(place.made(), ["a".into()].into());
    }

    #[test]
    fn links_are_replaced_and_not_followed() {
        let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret");
        fs::write(&secret, "untouched").unwrap();
        symlink(&secret, top.path().join("file")).unwrap();
        symlink(outside.path(), top.path().join("dir")).unwrap();
        let mut place = Place::open(top.path()).unwrap();
        put(&mut place, "file", "new").unwrap();
        assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(top.path().join("file")).unwrap(), "new");
        let error = put(&mut place, "dir/x", "new").unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        assert!(place.directory(Path::new("dir"), 0o777).is_err());
        assert!(place.hard_link(Path::new("y"), Path::new("dir/secret")).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_that_could_lead_out_are_refused() {
        let top = tempfile::tempdir().unwrap();
        let mut place = Place::open(top.path()).unwrap();
        for (path, target) in [
            ("a", "/etc/passwd"),
            ("a", ".."),
            ("d/a", "../.."),
            ("d/a", "x/../../.."),
            // If `up` led to the top, this would lead out.
            ("d/e/a", "up/../x"),
        ] {
            let made = place.symlink(Path::new(path), Path::new(target));
            let error = made.unwrap_err().to_string();
            assert!(error.contains("out of the sandbox"), "{path} -> {target}: {error}");
        }
        for (path, target) in [("a", "b"), ("d/e/a", "../../b"), ("d/a", "./b/c")] {
            place.symlink(Path::new(path), Path::new(target)).unwrap();
        }
    }

    #[test]
    fn hard_links_are_to_files() {
        let top = tempfile::tempdir().unwrap();
        let mut place = Place::open(top.path()).unwrap();
        put(&mut place, "a", "text").unwrap();
        place.hard_link(Path::new("d/b"), Path::new("a")).unwrap();
        place.hard_link(Path::new("a"), Path::new("a")).unwrap();
        assert_eq!(fs::read_to_string(top.path().join("d/b")).unwrap(), "text");
        for target in ["d", "nowhere"] {
            assert!(place.hard_link(Path::new("c"), Path::new(target)).is_err(), "{target}");
        }
        assert_eq!(inside(Path::new("/a/./b")).unwrap(), Path::new("a/b"));
        assert!(inside(Path::new("a/../b")).is_err());
    }
}
