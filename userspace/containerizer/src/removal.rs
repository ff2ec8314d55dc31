//! Removing what may be gone already.

use std::fs;
use std::io;
use std::path::Path;

/// Removes a directory and all in it, if it is there.
pub(crate) fn remove_tree(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
