//! How files are fetched.

use std::path::PathBuf;
use std::time::Duration;

/// The flags of the fetcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetching {
    /// `--fetcher-cache-dir`: where files are kept that tasks want cached, until this
    /// containerizer starts again. Absolute, and for one containerizer at a time.
    pub cache_dir: PathBuf,
    /// `--fetcher-cache-size`: the most bytes that these may have.
    pub cache_bytes: u64,
    /// `--fetcher-stall-timeout`: how long a download may bring nothing. Not zero.
    pub stall_timeout: Duration,
    /// `--frameworks-home`: where relative paths are found; without it there are none.
    pub frameworks_home: Option<PathBuf>,
}

impl Fetching {
    /// Mesos' 2 GB.
    pub const CACHE_BYTES: u64 = 2 << 30;
    /// Mesos' minute.
    pub const STALL_TIMEOUT: Duration = Duration::from_mins(1);

    /// What Mesos does by default, with a cache in `cache_dir`.
    pub fn new(cache_dir: PathBuf) -> Self {
        Self {
            cache_dir,
            cache_bytes: Self::CACHE_BYTES,
            stall_timeout: Self::STALL_TIMEOUT,
            frameworks_home: None,
        }
    }

    /// Checks the fields: the one that is wrong, and why.
    pub(crate) fn validate(&self) -> Result<(), (&'static str, String)> {
        let home = self.frameworks_home.iter().map(|path| ("frameworks_home", path));
        for (field, path) in [("fetcher_cache_dir", &self.cache_dir)].into_iter().chain(home) {
            if !path.is_absolute() {
                return Err((field, format!("{} is not an absolute path", path.display())));
            }
        }
        if self.stall_timeout.is_zero() {
            return Err(("fetcher_stall_timeout", "must be longer than nothing".into()));
        }
        Ok(())
    }
}
