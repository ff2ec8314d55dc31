//! Images that were provisioned, and when last.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Item, Uses, write};
use crate::Error;
use crate::error::At as _;
use crate::image::digest::Digest;

/// An image as it was provisioned last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    /// Its name with tag or digest.
    pub(crate) image: String,
    /// Its record on the shelf, if it has one.
    pub(crate) record: Option<PathBuf>,
    /// The digest of its manifest or index.
    pub(crate) digest: String,
    /// Its layers, the uppermost first.
    pub(crate) layers: Vec<Item>,
    /// What was made to lie upon them.
    pub(crate) upon: Vec<Item>,
}

impl Used {
    /// The name of its file.
    fn name(&self) -> String {
        let record = self.record.as_deref().unwrap_or_else(|| "".as_ref());
        let key = format!("{}\0{}", self.image, record.display());
        format!("{}.json", Digest::of(key.as_bytes()).hex())
    }

    /// What that is to the collector.
    pub(crate) fn item(&self) -> Item {
        Item::read(&format!(".uses/images/{}", self.name()))
    }
}

impl Uses {
    /// Remembers that an image is used now. Whatever it is made of is leased.
    pub(in crate::image) fn note(&self, used: &Used) -> io::Result<()> {
        let path = self.directory.join("images").join(used.name());
        let text = serde_json::to_vec(used)?;
        match fs::read(&path) {
            Ok(known) if known == text => {
                let now = FileTimes::new().set_modified(SystemTime::now());
                File::options().write(true).open(&path)?.set_times(now)
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // Not synced: a lost one is not known to be used, which is not to be lost.
            _ => write(&path, &text, false),
        }
    }

    /// An image, by the files that say that it is there, is used now.
    pub(in crate::image) fn touch(&self, items: &[Item]) -> Result<(), Error> {
        let now = FileTimes::new().set_modified(SystemTime::now());
        let store = self.directory.parent().unwrap_or(&self.directory);
        for path in items.iter().map(|item| item.path(store)) {
            let file = File::options().write(true).open(&path);
            file.and_then(|file| file.set_times(now)).at("set the time of", &path)?;
        }
        Ok(())
    }

    /// All of them, with the times of their last use and their files. What cannot be read as
    /// one is not among them.
    pub(in crate::image) fn used(&self) -> Result<Vec<(Used, SystemTime)>, Error> {
        let directory = self.directory.join("images");
        let mut found = Vec::new();
        for entry in fs::read_dir(&directory).at("read", &directory)? {
            let path = entry.at("read", &directory)?.path();
            let text = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                text => text.at("read", &path)?,
            };
            let Ok(used) = serde_json::from_slice(&text) else { continue };
            let time = fs::metadata(&path).and_then(|found| found.modified()).at("stat", &path)?;
            found.push((used, time));
        }
        Ok(found)
    }
}
