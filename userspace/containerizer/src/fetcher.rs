//! The fetcher: files from elsewhere, put into a sandbox before its container's command runs.
//!
//! It does what `mesos-fetcher` does, in this process: the files of one container one after the
//! other, those of several at the same time. What has to be undone after a failure is nothing:
//! a container whose files cannot be had is not made, and a file has its name only when it is
//! whole.

mod cache;
mod cancel;
mod checksum;
mod download;
mod extract;
mod files;
mod format;
mod place;
mod progress;
mod settings;
#[cfg(test)]
mod tests;
mod uri;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;
use cache::Cache;
use download::{Client, write};
use extract::{Bounds, extract};
use format::Format;
use place::Place;
use uri::Item;

pub(crate) use cancel::Cancel;
pub use files::Files;
pub use progress::{FetchingUri, Progress};
pub use settings::Fetching;
pub use uri::Uri;

/// Fetches files.
pub(crate) struct Fetcher {
    settings: Fetching,
    certificates: Option<PathBuf>,
    cache: Cache,
}

/// What one container wants.
pub(crate) struct Wanted<'a> {
    /// The container's id.
    pub(crate) container: &'a str,
    /// Its files, in this order.
    pub(crate) uris: &'a [Uri],
    /// Who they are for.
    pub(crate) user: &'a str,
    /// Where they are put.
    pub(crate) sandbox: &'a Path,
}

/// Why a file is not there.
#[derive(Debug)]
enum Problem {
    /// The cache has no room for it.
    NoRoom,
    /// It cannot be had.
    Failed(String),
}

impl Fetcher {
    /// A fetcher with an empty cache; `certificates` is whom to trust, the system's if `None`.
    pub(crate) fn new(settings: Fetching, certificates: Option<PathBuf>) -> Result<Self, Error> {
        let cache = Cache::open(&settings.cache_dir, settings.cache_bytes)?;
        Ok(Self { settings, certificates, cache })
    }

    /// Fetches what is wanted: the names in the sandbox under which something has been put.
    /// Blocks for as long as that takes, or until it is cancelled, though not at once.
    pub(crate) fn fetch(
        &self,
        wanted: &Wanted<'_>,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<Vec<PathBuf>, Error> {
        let failed = |uri: &Uri, reason: String| Error::Fetch {
            container: wanted.container.to_owned(),
            uri: uri.value.clone(),
            reason,
        };
        let home = self.settings.frameworks_home.as_deref();
        // All are understood before the first is fetched.
        let items = wanted.uris.iter().map(|uri| match Item::new(uri, home) {
            Ok(item) => Ok((uri, item)),
            Err(reason) => Err(failed(uri, reason)),
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let [(first, _), ..] = &items[..] else { return Ok(Vec::new()) };
        let mut place = Place::open(wanted.sandbox)
            .map_err(|error| failed(first, format!("open the sandbox: {error}")))?;
        for (number, (uri, item)) in items.iter().enumerate() {
            progress.begin(&uri.value, number + 1, items.len());
            tracing::info!(container = wanted.container, uri = uri.value, "fetching");
            let fetched = self.one(item, wanted.user, &mut place, cancel, progress);
            fetched.map_err(|problem| failed(uri, problem.to_string()))?;
        }
        progress.end();
        Ok(place.made().into_iter().map(PathBuf::from).collect())
    }

    fn one(
        &self,
        item: &Item,
        user: &str,
        place: &mut Place,
        cancel: &Cancel,
        progress: &Progress,
    ) -> Result<(), Problem> {
        let certificates = self.certificates.as_deref();
        let client = Client { settings: &self.settings, certificates, progress };
        let name = &item.path;
        let executable = |mode: u32| if item.executable { mode | 0o111 } else { mode };
        let cached = if item.cache { self.cache.get(user, item, &client, cancel)? } else { None };
        let archive = if let Some(cached) = &cached {
            let (mut file, mode) = cached.open()?;
            if item.format.is_none() {
                place.file(name, executable(mode), |copy| {
                    // Shares its blocks where the file system can.
                    io::copy(&mut file, copy).map(drop)
                })?;
            }
            file
        } else {
            let origin = client.open(&item.source)?;
            place.file(name, executable(origin.mode), |file| {
                client.transfer(item, origin, cancel, |bytes| write(file, bytes))
            })?;
            place.read(name)?
        };
        match item.format {
            Some(format) => {
                let extracted = extract(archive, name, format, place, Bounds::FETCHED, cancel);
                extracted.map_err(|error| format!("extract: {error}").into())
            }
            None => Ok(()),
        }
    }
}

/// Unpacks the archive `file` into the directory `into`, by the format that its name says.
pub(crate) fn unpack(file: &Path, into: &Path, bytes: u64, entries: u64) -> io::Result<()> {
    let name = Path::new(file.file_name().unwrap_or_default());
    let format = Format::of(name).ok_or_else(|| io::Error::other("it is no archive"))?;
    let (archive, mut place) = (File::open(file)?, Place::open(into)?);
    let bounds = Bounds { bytes, ratio: 1, entries };
    extract(archive, name, format, &mut place, bounds, &Cancel::default())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoom => f.write_str("there is no room for it"),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::Failed(reason)
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
