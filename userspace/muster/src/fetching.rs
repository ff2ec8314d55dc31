//! Flags of the fetcher: how files come into sandboxes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use muster_containerizer::Fetching;

use crate::{bytes, duration};

#[derive(Debug, Args)]
pub(crate) struct FetcherFlags {
    /// Where files are kept that tasks want cached, until the agent starts again. For one
    /// agent at a time; "fetch" in the work directory by default.
    #[arg(long, env = "MUSTER_FETCHER_CACHE_DIR")]
    fetcher_cache_dir: Option<PathBuf>,
    /// The most that these may take.
    #[arg(
        long,
        env = "MUSTER_FETCHER_CACHE_SIZE",
        default_value = "2GB",
        value_parser = bytes::parse
    )]
    fetcher_cache_size: u64,
    /// How long a download may bring nothing before it is given up.
    #[arg(
        long,
        env = "MUSTER_FETCHER_STALL_TIMEOUT",
        default_value = "1mins",
        value_parser = duration::positive
    )]
    fetcher_stall_timeout: Duration,
    /// Directory that relative paths of tasks' files are below; without it they are refused.
    #[arg(long, env = "MUSTER_FRAMEWORKS_HOME")]
    frameworks_home: Option<PathBuf>,
}

impl FetcherFlags {
    pub(crate) fn into_fetching(self, work_dir: &Path) -> Fetching {
        Fetching {
            cache_dir: self.fetcher_cache_dir.unwrap_or_else(|| work_dir.join("fetch")),
            cache_bytes: self.fetcher_cache_size,
            stall_timeout: self.fetcher_stall_timeout,
            frameworks_home: self.frameworks_home,
        }
    }
}
