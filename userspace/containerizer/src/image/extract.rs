//! Layers: archives of changes, extracted into what overlayfs stacks.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, Timespec, Timestamps, Uid, chmodat, chownat, linkat, makedev,
    mkdirat, mknodat, symlinkat, utimensat,
};
use rustix::io::Errno;
use tar::EntryType;

use super::archive::{Archive, Member};
use super::limits::{Measure, Meter, Metered};
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

/// How much of a file is written at a time.
const BUFFER: usize = 256 << 10;

/// A layer that has been extracted.
#[derive(Debug)]
pub(crate) struct Extracted {
    /// The directories in it that have no entry, but something below them has: nobody said what
    /// they are like. The root is the empty path.
    pub(crate) implied: BTreeSet<PathBuf>,
    /// How large it is.
    pub(crate) measure: Measure,
}

/// Extracts the uncompressed archive `source` into the empty directory `root`, for as long as
/// `meter` lets it.
pub(crate) fn extract(
    source: impl Read,
    root: &Path,
    meter: &Meter<'_>,
) -> Result<Extracted, EntryError> {
    let damaged = |error: io::Error| EntryError { entry: String::new(), reason: error.to_string() };
    let tree = Tree::open(root, meter).map_err(damaged)?;
    let mut layer = Layer { tree, meter, directories: BTreeMap::new(), buffer: vec![0; BUFFER] };
    let mut archive = Archive::new(Metered::new(source, meter));
    while let Some(member) = archive.next().map_err(damaged)? {
        layer.add(&member, &mut archive).map_err(|error| EntryError {
            entry: member.path.escape_ascii().to_string(),
            reason: error.to_string(),
        })?;
    }
    let implied = layer.finish().map_err(damaged)?;
    Ok(Extracted { implied, measure: meter.measure() })
}

struct Layer<'a> {
    tree: Tree<'a>,
    meter: &'a Meter<'a>,
    /// When directories were modified, set at the end because their entries change it.
    directories: BTreeMap<PathBuf, Timespec>,
    /// For the data of one file after the other.
    buffer: Vec<u8>,
}

impl Layer<'_> {
    fn add(&mut self, member: &Member, data: &mut impl Read) -> io::Result<()> {
        let kind = member.kind;
        self.meter.entries(1).map_err(io::Error::other)?;
        let path = inside(Path::new(OsStr::from_bytes(&member.path)))?;
        let depth = path.components().count();
        self.meter.limits().depth(depth).map_err(io::Error::other)?;
        let metadata = Metadata::of(member)?;
        let Some(name) = path.file_name() else {
            return self.root(kind, &metadata);
        };
        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            return self.whiteout(&path, hidden);
        }
        let before = self.tree.clear(&path, kind.is_dir())?;
        if kind.is_hard_link() {
            return self.hard_link(&member.link, &path);
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
                self.tree.is_named(&path)?;
                self.directories.insert(path, metadata.modified);
                return Ok(());
            }
            EntryType::Regular | EntryType::Continuous => {
                copy(data, &mut place.create()?, &mut self.buffer)?;
            }
            EntryType::Symlink => {
                symlinkat(OsStr::from_bytes(&member.link), place.parent, &place.name)?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                let (file_type, (major, minor)) = match kind {
                    EntryType::Char => (FileType::CharacterDevice, member.device()?),
                    EntryType::Block => (FileType::BlockDevice, member.device()?),
                    _ => (FileType::Fifo, (0, 0)),
                };
                let device = makedev(major, minor);
                mknodat(place.parent, &place.name, file_type, Mode::RUSR, device)?;
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

    fn hard_link(&mut self, target: &[u8], path: &Path) -> io::Result<()> {
        let target = Path::new(OsStr::from_bytes(target));
        // Relative to the root, whether written with a leading slash or not.
        let target = inside(target.strip_prefix("/").unwrap_or(target))?;
        let (Some(directory), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(io::Error::other("a hard link to the root"));
        };
        let from = if directory.as_os_str().is_empty() {
            self.tree.root().try_clone_to_owned()?
        } else {
            self.tree.existing(directory)?
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

    fn finish(mut self) -> io::Result<BTreeSet<PathBuf>> {
        let root = (!self.directories.contains_key(Path::new(""))).then(PathBuf::new);
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
        let mut implied = self.tree.into_implied();
        implied.extend(root);
        Ok(implied)
    }
}

impl Metadata {
    fn of(member: &Member) -> io::Result<Self> {
        let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::other("owner out of range"));
        let owner = (Uid::from_raw(id(member.uid)?), Gid::from_raw(id(member.gid)?));
        let mode = Mode::from_raw_mode(member.mode);
        let attributes = member.attributes.clone();
        Ok(Self { owner, mode, modified: member.modified, attributes })
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

/// In pieces as large as the buffer: `io::copy` has a small one, and a system call for each.
fn copy(data: &mut impl Read, file: &mut File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match data.read(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        file.write_all(&buffer[..filled])?;
        if filled < buffer.len() {
            return Ok(());
        }
    }
}

fn set_modified(place: &Place<'_>, modified: Timespec) -> io::Result<()> {
    let times = Timestamps { last_access: modified, last_modification: modified };
    Ok(utimensat(place.parent, &place.name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
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
