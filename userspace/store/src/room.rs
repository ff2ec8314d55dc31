//! Room on the disk that is kept for when there is no other.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use rustix::fs::FallocateFlags;

/// Most that is kept, in bytes: some hundred small commits.
const MOST: u64 = 256 << 10;
/// Least that is worth a file.
const LEAST: u64 = 16 << 10;

/// A file that is only there to be removed: what has to be said of a full disk, that a task has
/// failed for want of space above all, can then be committed while it is full.
#[derive(Debug)]
pub(crate) struct Room(PathBuf);

impl Room {
    /// In a file at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Keeps room, as much as there is, unless it is kept already.
    ///
    /// # Errors
    /// There is none, or the file system cannot (`fallocate(2)`); nothing is kept then.
    pub(crate) fn keep(&self) -> io::Result<()> {
        if self.0.try_exists()? {
            return Ok(());
        }
        let file = File::create_new(&self.0)?;
        let mut bytes = MOST;
        loop {
            match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::NOSPC) if bytes > LEAST => bytes -= LEAST,
                Err(error) => {
                    fs::remove_file(&self.0)?;
                    return Err(error.into());
                }
            }
        }
    }

    /// Gives it up: whether there was any.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn give(&self) -> io::Result<bool> {
        match fs::remove_file(&self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn is_kept_until_it_is_given() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("room");
        let room = Room::new(path.clone());
        assert!(!room.give().unwrap());
        room.keep().unwrap();
        room.keep().unwrap();
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= MOST);
        assert!(room.give().unwrap());
        assert!(!path.exists() && !room.give().unwrap());
    }

    #[test]
    fn what_is_no_room_is_told() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Room::new(directory.path().to_owned()).give().is_err());
    }
}
