//! What is in an archive, but for the data of layers.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::image::archive::Archive;
use crate::image::blob::DOCUMENT_MAX;
use crate::image::digest::{Digest, Hashing};

/// How compressed data begin.
pub(super) const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// The most that all documents of an archive may take together.
const DOCUMENTS_MAX: usize = 64 << 20;
/// How many links are followed from one file to another.
const LINKS_MAX: usize = 16;

/// An archive's files.
pub(super) struct Contents {
    files: HashMap<PathBuf, Packed>,
    /// The small ones that may be JSON, and their digests.
    documents: HashMap<PathBuf, (Digest, Vec<u8>)>,
    links: HashMap<PathBuf, PathBuf>,
}

/// One file, which may be a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    /// Its length in bytes.
    pub(super) size: u64,
    /// How it is compressed.
    pub(super) compression: Compression,
    /// Its digest, if it is compressed.
    pub(super) digest: Option<Digest>,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Contents {
    /// Reads the archive at `path`, all of it.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let (mut files, mut documents) = (HashMap::new(), HashMap::new());
        let (mut links, mut total) = (HashMap::new(), 0);
        let mut archive = Archive::new(super::open(path)?);
        while let Some(member) = archive.next()? {
            let Some(path) = plain(Path::new(OsStr::from_bytes(&member.path))) else {
                continue;
            };
            let target = Path::new(OsStr::from_bytes(&member.link));
            match member.kind {
                EntryType::Regular | EntryType::Continuous => {
                    let mut start = Vec::new();
                    archive.by_ref().take(4).read_to_end(&mut start)?;
                    let compression = match start.as_slice() {
                        start if start.starts_with(GZIP) => Compression::Gzip,
                        start if start == ZSTD => Compression::Zstd,
                        _ => Compression::None,
                    };
                    if start.starts_with(b"{") || start.starts_with(b"[") {
                        archive.by_ref().take(DOCUMENT_MAX).read_to_end(&mut start)?;
                    }
                    let document = start.len() > 4 && start.len() as u64 <= DOCUMENT_MAX;
                    let mut size = start.len() as u64;
                    let mut digest = None;
                    if document {
                        total += start.len();
                        if total > DOCUMENTS_MAX {
                            return Err(io::Error::other("more than 64 MB of JSON"));
                        }
                        documents.insert(path.clone(), (Digest::of(&start), start));
                    } else if compression == Compression::None {
                        size += io::copy(&mut archive, &mut io::sink())?;
                    } else {
                        let whole = start.as_slice().chain(&mut archive);
                        let (found, length) = Hashing::new(whole).finish()?;
                        (digest, size) = (Some(found), length);
                    }
                    files.insert(path, Packed { size, compression, digest });
                }
                EntryType::Link => drop(plain(target).map(|target| links.insert(path, target))),
                EntryType::Symlink => {
                    let joined = path.parent().unwrap_or(Path::new("")).join(target);
                    drop(plain(&joined).map(|target| links.insert(path, target)));
                }
                _ => {}
            }
        }
        Ok(Self { files, documents, links })
    }

    /// The document at `path`.
    pub(super) fn named(&self, path: &str) -> Option<&[u8]> {
        let path = self.resolve(Path::new(path));
        self.documents.get(&path).map(|(_, text)| text.as_slice())
    }

    /// The document with that digest.
    pub(super) fn document(&self, digest: &Digest) -> Option<&[u8]> {
        let mut documents = self.documents.values();
        documents.find(|(own, _)| own == digest).map(|(_, text)| text.as_slice())
    }

    /// The file at `path`, and its own path, if a link leads there.
    pub(super) fn file(&self, path: &Path) -> Option<(PathBuf, &Packed)> {
        let path = self.resolve(&plain(path)?);
        let file = self.files.get(&path)?;
        Some((path, file))
    }

    /// Whether there is a file at `path`.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            match self.links.get(&path) {
                Some(target) if !self.files.contains_key(&path) => path.clone_from(target),
                _ => break,
            }
        }
        path
    }
}

/// Shows the data of every file of the archive at `path` to `see`, until that has enough.
pub(super) fn walk(
    path: &Path,
    mut see: impl FnMut(&Path, &mut dyn io::Read) -> io::Result<bool>,
) -> io::Result<()> {
    let mut archive = Archive::new(super::open(path)?);
    while let Some(member) = archive.next()? {
        if !matches!(member.kind, EntryType::Regular | EntryType::Continuous) {
            continue;
        }
        let Some(path) = plain(Path::new(OsStr::from_bytes(&member.path))) else { continue };
        if !see(&path, &mut archive)? {
            break;
        }
    }
    Ok(())
}

/// A path in an archive without `.` and `..`; `None` if it leads out.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut names = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir => {
                names.pop().then_some(())?;
            }
            Component::Prefix(_) => return None,
        }
    }
    Some(names)
}
