//! Layers: archives of changes, extracted into what overlayfs stacks.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Timespec, Timestamps, Uid, chmodat, chownat, linkat, makedev,
    mkdirat, mknodat, symlinkat, utimensat,
};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

use super::tree::{Before, Place, Tree, make_opaque};

/// An entry that cannot be extracted.
#[derive(Debug)]
pub(crate) struct EntryError {
    /// Its path in the archive; empty when the archive itself is damaged.
    pub(crate) entry: String,
    /// What is wrong.
    pub(crate) reason: String,
}

/// Owner, mode, times and extended attributes of an entry.
struct Metadata {
    owner: (Uid, Gid),
    mode: Mode,
    modified: Timespec,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Extracts the uncompressed archive `source` into the empty directory `root`.
pub(crate) fn extract(source: impl Read, root: &Path) -> Result<(), EntryError> {
    let damaged = |error: io::Error| EntryError { entry: String::new(), reason: error.to_string() };
    let mut layer =
        Layer { tree: Tree::open(root).map_err(damaged)?, directories: BTreeMap::new() };
    let mut archive = Archive::new(source);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        layer.add(&mut entry).map_err(|error| EntryError {
            entry: entry.path_bytes().escape_ascii().to_string(),
            reason: error.to_string(),
        })?;
    }
    layer.finish().map_err(damaged)
}

struct Layer {
    tree: Tree,
    /// When directories were modified, set at the end because their entries change it.
    directories: BTreeMap<PathBuf, Timespec>,
}

impl Layer {
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let path = inside(Path::new(OsStr::from_bytes(&entry.path_bytes())))?;
        let metadata = Metadata::read(entry)?;
        let Some(name) = path.file_name() else {
            return self.root(kind, &metadata);
        };
        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            return self.whiteout(&path, hidden);
        }
        let before = self.tree.clear(&path, kind.is_dir())?;
        if kind.is_hard_link() {
            return self.hard_link(entry, &path);
        }
        let place = self.tree.place(&path)?;
        match kind {
            EntryType::Directory => {
                if before != Before::Directory {
                    mkdirat(place.parent, &place.name, Mode::RWXU)?;
                }
                if before == Before::Whiteout {
                    place.make_opaque()?;
                }
                metadata.apply(&place, false)?;
                self.directories.insert(path, metadata.modified);
                return Ok(());
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                io::copy(entry, &mut place.create()?)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or(Errno::INVAL)?;
                symlinkat(OsStr::from_bytes(&target), place.parent, &place.name)?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                let header = entry.header();
                let (kind, device) = match kind {
                    EntryType::Fifo => (FileType::Fifo, 0),
                    _ => {
                        let major = header.device_major()?.ok_or(Errno::INVAL)?;
                        let minor = header.device_minor()?.ok_or(Errno::INVAL)?;
                        let kind = match kind {
                            EntryType::Char => FileType::CharacterDevice,
                            _ => FileType::BlockDevice,
                        };
                        (kind, makedev(major, minor))
                    }
                };
                mknodat(place.parent, &place.name, kind, Mode::RUSR, device)?;
            }
            other => {
                let kind = char::from(other.as_byte());
                return Err(io::Error::other(format!("unsupported entry type `{kind}`")));
            }
        }
        metadata.apply(&place, kind.is_symlink())
    }

    /// The entry `./`: the root directory itself.
    fn root(&mut self, kind: EntryType, metadata: &Metadata) -> io::Result<()> {
        if !kind.is_dir() {
            return Err(io::Error::other("the root is not a directory"));
        }
        let place = Place { parent: self.tree.root(), name: ".".into() };
        metadata.apply(&place, false)?;
        self.directories.insert(PathBuf::new(), metadata.modified);
        Ok(())
    }

    /// Whiteouts speak of lower layers only: what this layer has itself stays.
    fn whiteout(&mut self, path: &Path, hidden: &[u8]) -> io::Result<()> {
        if hidden == b".wh..opq" {
            let place = self.tree.place(path)?;
            return make_opaque(place.parent);
        }
        if hidden.starts_with(b".wh.") {
            // Bookkeeping of AUFS, without a meaning elsewhere.
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(io::Error::other("a whiteout of no name"));
        }
        let place = self.tree.place(&path.with_file_name(OsStr::from_bytes(hidden)))?;
        match place.before()? {
            Before::Nothing => place.whiteout(),
            Before::Directory => place.make_opaque(),
            Before::Whiteout | Before::Other => Ok(()),
        }
    }

    fn hard_link<R: Read>(&mut self, entry: &Entry<'_, R>, path: &Path) -> io::Result<()> {
        let target = entry.link_name_bytes().ok_or(Errno::INVAL)?;
        let target = Path::new(OsStr::from_bytes(&target));
        // Relative to the root, whether written with a leading slash or not.
        let target = inside(target.strip_prefix("/").unwrap_or(target))?;
        let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(io::Error::other("a hard link to the root"));
        };
        let from = match directory.as_os_str().is_empty() {
            true => self.tree.root().try_clone_to_owned()?,
            false => self.tree.existing(directory)?,
        };
        let place = self.tree.place(path)?;
        match linkat(from.as_fd(), name, place.parent, &place.name, AtFlags::empty()) {
            Err(Errno::NOENT) => Err(io::Error::other(format!(
                "a hard link to `{}`, which this layer does not have",
                target.display()
            ))),
            linked => Ok(linked?),
        }
    }

    fn finish(mut self) -> io::Result<()> {
        for (path, modified) in std::mem::take(&mut self.directories) {
            if path.as_os_str().is_empty() {
                set_modified(&Place { parent: self.tree.root(), name: ".".into() }, modified)?;
                continue;
            }
            let place = self.tree.place(&path)?;
            // A later entry may have put something else in its place.
            if place.before()? == Before::Directory {
                set_modified(&place, modified)?;
            }
        }
        Ok(())
    }
}

impl Metadata {
    fn read<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Self> {
        let header = entry.header();
        let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::other("owner out of range"));
        let owner = (Uid::from_raw(id(header.uid()?)?), Gid::from_raw(id(header.gid()?)?));
        let mode = Mode::from_raw_mode(header.mode()? & 0o7777);
        let mut modified =
            Timespec { tv_sec: i64::try_from(header.mtime()?).unwrap_or(i64::MAX), tv_nsec: 0 };
        let mut attributes = Vec::new();
        for extension in entry.pax_extensions()?.into_iter().flatten() {
            let extension = extension?;
            if let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") {
                attributes.push((name.to_vec(), extension.value_bytes().to_vec()));
            } else if extension.key_bytes() == b"mtime" {
                modified = extension.value().ok().and_then(pax_time).unwrap_or(modified);
            }
        }
        Ok(Self { owner, mode, modified, attributes })
    }

    /// In this order: a change of owner clears set-user-ID and capabilities.
    fn apply(&self, place: &Place<'_>, is_link: bool) -> io::Result<()> {
        let (user, group) = (Some(self.owner.0), Some(self.owner.1));
        chownat(place.parent, &place.name, user, group, AtFlags::SYMLINK_NOFOLLOW)?;
        if !is_link {
            chmodat(place.parent, &place.name, self.mode, AtFlags::empty())?;
        }
        for (name, value) in &self.attributes {
            // overlayfs' own are how it is told to look elsewhere: not for an image to set.
            if name.starts_with(b"trusted.overlay.") {
                continue;
            }
            place.set_attribute(OsStr::from_bytes(name), value).map_err(|error| {
                let name = name.escape_ascii();
                io::Error::other(format!("set extended attribute {name}: {error}"))
            })?;
        }
        set_modified(place, self.modified)
    }
}

fn set_modified(place: &Place<'_>, modified: Timespec) -> io::Result<()> {
    let times = Timestamps { last_access: modified, last_modification: modified };
    Ok(utimensat(place.parent, &place.name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// `1700000000.123456789`, as POSIX' pax headers have it.
fn pax_time(text: &str) -> Option<Timespec> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.get(..fraction.len().min(9))?;
    let tv_nsec = if digits.is_empty() { 0 } else { format!("{digits:0<9}").parse().ok()? };
    Some(Timespec { tv_sec: seconds.parse().ok()?, tv_nsec })
}

/// `path` as names below the root; refuses those that start or lead elsewhere.
fn inside(path: &Path) -> io::Result<PathBuf> {
    let mut names = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => {
                return Err(io::Error::other("an absolute path"));
            }
            Component::ParentDir => return Err(io::Error::other("a path with `..`")),
        }
    }
    Ok(names)
}
