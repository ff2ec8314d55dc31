//! How far the fetching for one container is.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bytes::megabytes;

/// A file on its way into a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchingUri {
    /// Where it comes from.
    pub uri: String,
    /// Which of the container's files it is, from 1.
    pub number: usize,
    /// How many the container has.
    pub total: usize,
    /// Bytes that have come.
    pub bytes: u64,
    /// Bytes that it has, if that is known.
    pub total_bytes: Option<u64>,
}

impl fmt::Display for FetchingUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetching '{}' ({} of {}): ", self.uri, self.number, self.total)?;
        match self.total_bytes {
            Some(total) => {
                write!(f, "{:.1} of {:.1} MB", megabytes(self.bytes), megabytes(total))
            }
            None => write!(f, "{:.1} MB", megabytes(self.bytes)),
        }
    }
}

/// Tells who waits for a fetch how far it is. Clones tell the same.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Option<FetchingUri>>>);

impl Progress {
    /// The file that is under way, if one is.
    pub fn now(&self) -> Option<FetchingUri> {
        self.lock().clone()
    }

    /// The next file.
    pub(super) fn begin(&self, uri: &str, number: usize, total: usize) {
        let uri = uri.to_owned();
        *self.lock() = Some(FetchingUri { uri, number, total, bytes: 0, total_bytes: None });
    }

    /// All are there.
    pub(super) fn end(&self) {
        *self.lock() = None;
    }

    /// A server has been found, and says how much there is.
    pub(super) fn expect(&self, total_bytes: Option<u64>) {
        if let Some(file) = &mut *self.lock() {
            (file.bytes, file.total_bytes) = (0, total_bytes);
        }
    }

    /// So many bytes more have come.
    pub(super) fn add(&self, bytes: u64) {
        if let Some(file) = &mut *self.lock() {
            file.bytes += bytes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<FetchingUri>> {
        // Nothing is ever half done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_told_in_words_while_it_lasts() {
        let progress = Progress::default();
        let told = || progress.now().map(|file| file.to_string());
        assert_eq!(told(), None);
        progress.begin("http://h/a.tar", 2, 3);
        assert_eq!(told().as_deref(), Some("Fetching 'http://h/a.tar' (2 of 3): 0.0 MB"));
        progress.expect(Some(80_000_000));
        progress.add(12_340_000);
        let expected = "Fetching 'http://h/a.tar' (2 of 3): 12.3 of 80.0 MB";
        assert_eq!(told().as_deref(), Some(expected));
        progress.end();
        assert_eq!(told(), None);
    }
}
