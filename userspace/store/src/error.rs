//! What can go wrong with a store.

use std::io::ErrorKind;
use std::path::PathBuf;

/// A store that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is there but is no store, or is damaged. It has not been touched.
    #[error(
        "{path}: not a readable store ({source}); it was left untouched: restore it from a backup, or move it away to start empty"
    )]
    Unreadable {
        /// The store's file.
        path: PathBuf,
        /// What the storage engine found.
        source: Box<redb::Error>,
    },
    /// The file was written by a later version of Muster. It has not been touched.
    #[error(
        "{path}: written in format {found}, this version reads up to {supported}; it was left untouched: run the newer version, or move it away to start empty"
    )]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// The file's format number.
        found: u64,
        /// The highest format number known here.
        supported: u64,
    },
    /// Another process has the file open.
    #[error("{path}: in use by another process; stop it, or give each its own --work-dir")]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// The file's directory cannot be made or reached.
    #[error("{path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A read or a commit failed: a full or failing disk.
    #[error("{path}: {operation} failed: {source}")]
    Io {
        /// The store's file.
        path: PathBuf,
        /// What was being done: `read` or `commit`.
        operation: &'static str,
        /// What the storage engine reports.
        source: Box<redb::Error>,
    },
}

impl Error {
    /// Whether it is for want of space.
    pub(crate) fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(&**source, redb::Error::Io(error) if error.kind() == ErrorKind::StorageFull)
    }
}
