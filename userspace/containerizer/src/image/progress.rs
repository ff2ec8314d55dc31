//! How far pulls are.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bytes::megabytes;

/// An image on its way from a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulling {
    /// Its name, as who asked first had it.
    pub image: String,
    /// Bytes of its layers that are there.
    pub bytes: u64,
    /// Bytes that all of them have; 0 until the manifest is there.
    pub total_bytes: u64,
    /// Layers that are there.
    pub layers: u64,
    /// All of them.
    pub total_layers: u64,
}

impl fmt::Display for Pulling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pulling image '{}'", self.image)?;
        if self.total_layers == 0 {
            return Ok(());
        }
        let (bytes, total) = (megabytes(self.bytes), megabytes(self.total_bytes));
        write!(f, ": {bytes:.1} of {total:.1} MB, ")?;
        write!(f, "{} of {} layers", self.layers, self.total_layers)
    }
}

/// All pulls of this process, by the records that they are going to write.
#[derive(Debug, Default)]
pub(crate) struct Pulls(Mutex<BTreeMap<PathBuf, Arc<Progress>>>);

/// What one pull has done.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    image: String,
    bytes: AtomicU64,
    total_bytes: AtomicU64,
    layers: AtomicU64,
    total_layers: AtomicU64,
}

/// A pull that is under way until this is dropped.
pub(crate) struct Under<'a> {
    pulls: &'a Pulls,
    record: PathBuf,
    /// To be told.
    pub(crate) progress: Arc<Progress>,
}

impl Pulls {
    /// A pull begins.
    pub(crate) fn begin(&self, record: &Path, image: &str) -> Under<'_> {
        let progress = Arc::new(Progress { image: image.to_owned(), ..Progress::default() });
        self.lock().insert(record.to_owned(), Arc::clone(&progress));
        Under { pulls: self, record: record.to_owned(), progress }
    }

    /// The pull that is to write this record.
    pub(crate) fn of(&self, record: &Path) -> Option<Pulling> {
        self.lock().get(record).map(|progress| progress.now())
    }

    /// All that are under way.
    pub(crate) fn all(&self) -> Vec<Pulling> {
        self.lock().values().map(|progress| progress.now()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<Progress>>> {
        // Nothing is ever half done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.pulls.lock().remove(&self.record);
    }
}

impl Progress {
    /// Its layers are known: the sizes of all.
    pub(crate) fn expect(&self, sizes: impl Iterator<Item = u64>) {
        let (mut bytes, mut layers) = (0_u64, 0);
        for size in sizes {
            bytes = bytes.saturating_add(size);
            layers += 1;
        }
        self.total_bytes.store(bytes, Ordering::Relaxed);
        self.total_layers.store(layers, Ordering::Relaxed);
        // Another registry may begin anew.
        self.bytes.store(0, Ordering::Relaxed);
        self.layers.store(0, Ordering::Relaxed);
    }

    /// So many bytes more are there.
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes were in vain.
    pub(crate) fn take_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// One layer more is there.
    pub(crate) fn layer(&self) {
        self.layers.fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> Pulling {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Pulling {
            image: self.image.clone(),
            bytes: get(&self.bytes),
            total_bytes: get(&self.total_bytes),
            layers: get(&self.layers),
            total_layers: get(&self.total_layers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_told_in_words_while_it_lasts() {
        let pulls = Pulls::default();
        let record = Path::new("r/nginx/_tags/latest.json");
        let under = pulls.begin(record, "nginx:latest");
        let told = || pulls.of(record).map(|pulling| pulling.to_string());
        assert_eq!(told().as_deref(), Some("Pulling image 'nginx:latest'"));
        under.progress.expect([50_000_000, 29_999_000].into_iter());
        under.progress.add(12_340_000);
        under.progress.layer();
        let expected = "Pulling image 'nginx:latest': 12.3 of 80.0 MB, 1 of 2 layers";
        assert_eq!(told().as_deref(), Some(expected));
        under.progress.take_back(12_340_000);
        assert_eq!((pulls.all()[0].bytes, pulls.all()[0].total_bytes), (0, 79_999_000));
        drop(under);
        assert_eq!(told(), None);
    }
}
