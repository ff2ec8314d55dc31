//! What is in an archive, but for the data of layers.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::image::ImageLimits;
use crate::image::archive::{Archive, Member};
use crate::image::blob::DOCUMENT_MAX;
use crate::image::digest::{Digest, Hashing};
use crate::image::limits::{Budget, Metered};

/// How compressed data begin.
const GZIP: &[u8] = &[0x1f, 0x8b];
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
    pub(super) fn read(path: &Path, limits: ImageLimits) -> io::Result<Self> {
        let (mut files, mut documents) = (HashMap::new(), HashMap::new());
        let (mut links, mut total) = (HashMap::new(), 0);
        members(path, limits, |member, path, mut data| {
            let (path, target) = (path.to_owned(), Path::new(OsStr::from_bytes(&member.link)));
            match member.kind {
                _ if member.is_file() => {
                    let mut start = Vec::new();
                    (&mut data).take(4).read_to_end(&mut start)?;
                    let compression = match start.as_slice() {
                        start if start.starts_with(GZIP) => Compression::Gzip,
                        start if start == ZSTD => Compression::Zstd,
                        _ => Compression::None,
                    };
                    if start.starts_with(b"{") || start.starts_with(b"[") {
                        (&mut data).take(DOCUMENT_MAX).read_to_end(&mut start)?;
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
                        size += io::copy(&mut data, &mut io::sink())?;
                    } else {
                        let (found, length) =
                            Hashing::new(start.as_slice().chain(data)).finish()?;
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
            Ok(true)
        })?;
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

/// Shows every entry of the archive at `path` to `see`, with its path and data, until that has
/// enough. The archive may be packed by gzip: then it may not become more than an image may be.
pub(super) fn members(
    path: &Path,
    limits: ImageLimits,
    mut see: impl FnMut(&Member, &Path, &mut dyn io::Read) -> io::Result<bool>,
) -> io::Result<()> {
    let file = File::open(path)?;
    let budget = Budget::new(limits);
    let meter = budget.meter(file.metadata()?.len());
    let mut file = io::BufReader::with_capacity(256 << 10, file);
    let source: Box<dyn io::Read + '_> = if file.fill_buf()?.starts_with(GZIP) {
        Box::new(Metered::new(flate2::bufread::MultiGzDecoder::new(file), &meter))
    } else {
        Box::new(file)
    };
    let mut archive = Archive::new(source);
    while let Some(member) = archive.next()? {
        meter.entries(1).map_err(io::Error::other)?;
        let Some(path) = plain(Path::new(OsStr::from_bytes(&member.path))) else { continue };
        if !see(&member, &path, &mut archive)? {
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
