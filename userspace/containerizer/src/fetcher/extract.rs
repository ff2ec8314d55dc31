//! Archives that nobody vouches for, unpacked into a sandbox.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tar::EntryType;
use zip::ZipArchive;

use super::cancel::Cancel;
use super::format::{Compression, Format};
use super::place::{Place, inside};
use crate::image::Archive;

const BUFFER: usize = 128 << 10;
/// The longest target of a symbolic link that Linux takes.
const TARGET: u64 = 4096;

/// What an archive may hold.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// What any may unpack to, in bytes.
    pub(crate) bytes: u64,
    /// How many times its own size a larger one may unpack to.
    pub(crate) ratio: u64,
    /// The most that there may be in one.
    pub(crate) entries: u64,
}

impl Bounds {
    /// Those of archives that are fetched. Text comes to a ratio of about 10.
    pub(crate) const FETCHED: Self = Self { bytes: 1 << 30, ratio: 100, entries: 1 << 20 };
}

/// What an archive may still bring.
struct Budget<'a> {
    cancel: &'a Cancel,
    bounds: Bounds,
    bytes: u64,
    entries: u64,
}

/// Unpacks `archive`, which is called `name`, into `place`.
pub(super) fn extract(
    archive: File,
    name: &Path,
    format: Format,
    place: &mut Place,
    mut bounds: Bounds,
    cancel: &Cancel,
) -> io::Result<()> {
    bounds.bytes = bounds.bytes.max(archive.metadata()?.len().saturating_mul(bounds.ratio));
    let mut budget = Budget { cancel, bounds, bytes: bounds.bytes, entries: bounds.entries };
    let source = BufReader::with_capacity(BUFFER, archive);
    match format {
        Format::Tar(compression) => tar(compression.reader(source), place, &mut budget),
        Format::Zip => zip(source, place, &mut budget),
        Format::Gzip => {
            let mut plain = Compression::Gzip.reader(source);
            let path = name.with_extension("");
            place.file(&path, 0o644, |file| budget.copy(&mut plain, file))
        }
    }
}

/// Names the entry that an error is about.
fn entry<T>(path: &[u8], result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| {
        io::Error::new(error.kind(), format!("entry `{}`: {error}", path.escape_ascii()))
    })
}

fn tar(source: impl Read, place: &mut Place, budget: &mut Budget<'_>) -> io::Result<()> {
    let mut archive = Archive::new(source);
    while let Some(member) = archive.next()? {
        budget.entry()?;
        let added = (|| {
            let path = inside(Path::new(OsStr::from_bytes(&member.path)))?;
            let link = Path::new(OsStr::from_bytes(&member.link));
            if path.as_os_str().is_empty() {
                // The sandbox itself is as it is.
                return Ok(());
            }
            match member.kind {
                EntryType::Directory => place.directory(&path, member.mode),
                EntryType::Regular | EntryType::Continuous => {
                    place.file(&path, member.mode, |file| budget.copy(&mut archive, file))
                }
                EntryType::Symlink => place.symlink(&path, link),
                EntryType::Link => place.hard_link(&path, &inside(link)?),
                other => Err(unsupported(char::from(other.as_byte()))),
            }
        })();
        entry(&member.path, added)?;
    }
    Ok(())
}

fn zip(source: BufReader<File>, place: &mut Place, budget: &mut Budget<'_>) -> io::Result<()> {
    let mut archive = ZipArchive::new(source)?;
    for index in 0..archive.len() {
        budget.entry()?;
        let mut member = archive.by_index(index)?;
        let name = member.name_raw().to_vec();
        let added = (|| {
            let path = inside(Path::new(OsStr::from_bytes(&name)))?;
            let mode = member.unix_mode();
            if path.as_os_str().is_empty() {
                return Ok(());
            }
            if member.is_dir() {
                return place.directory(&path, mode.unwrap_or(0o755));
            }
            if member.is_symlink() {
                let mut target = Vec::new();
                member.by_ref().take(TARGET).read_to_end(&mut target)?;
                return place.symlink(&path, &PathBuf::from(OsStr::from_bytes(&target)));
            }
            // Without the upper bits it is made by one who knows only files.
            match mode.map_or(0, |mode| mode & libc::S_IFMT) {
                0 | libc::S_IFREG => {}
                _ => return Err(unsupported('?')),
            }
            // Of who knows nothing of modes, too.
            let mode = mode.filter(|mode| mode & 0o777 != 0).unwrap_or(0o644);
            place.file(&path, mode, |file| budget.copy(&mut member, file))
        })();
        entry(&name, added)?;
    }
    Ok(())
}

fn unsupported(kind: char) -> io::Error {
    io::Error::other(format!("is no file, directory or link, but of type `{kind}`"))
}

impl Budget<'_> {
    /// There is one more.
    fn entry(&mut self) -> io::Result<()> {
        self.cancel.check()?;
        self.entries = self.entries.checked_sub(1).ok_or_else(|| {
            let most = self.bounds.entries;
            io::Error::other(format!("it holds more than {most} files: a bomb"))
        })?;
        Ok(())
    }

    /// Copies all of `source`.
    fn copy(&mut self, source: &mut impl Read, target: &mut impl Write) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = match source.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                return Ok(());
            }
            self.cancel.check()?;
            self.bytes = self.bytes.checked_sub(read as u64).ok_or_else(|| {
                let Bounds { bytes, ratio, .. } = self.bounds;
                io::Error::other(format!(
                    "it unpacks to more than {bytes} bytes, more than {ratio} times its size: a \
                     bomb"
                ))
            })?;
            target.write_all(&buffer[..read])?;
        }
    }
}
