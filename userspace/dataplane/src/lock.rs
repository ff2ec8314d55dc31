//! One process per agent.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use crate::Error;

/// How often a folder that is locked is tried again.
const TRIES: u32 = 20;
/// Pause before it is.
const PAUSE: Duration = Duration::from_millis(50);

/// Held as long as the data plane is open; the kernel lets go of it when the process ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

// === impl Lock ===

impl Lock {
    /// Takes the lock of an agent's folder in bpffs, which is made if missing.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if another process holds it, for longer than another agent needs to
    /// look at what it finds there.
    pub(crate) fn take(directory: &Path) -> Result<Self, Error> {
        let mut tries = 0;
        loop {
            fs::create_dir_all(directory).map_err(Error::file("mkdir", directory))?;
            match Self::of(directory) {
                Err(Error::Busy { .. }) if tries < TRIES => thread::park_timeout(PAUSE),
                // Another agent has just removed the folder as a dead one's.
                Ok(None) => {}
                Ok(Some(lock)) => return Ok(lock),
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }

    /// Takes the lock of a folder that is there; `None` if it is not.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if another process holds it.
    pub(crate) fn of(directory: &Path) -> Result<Option<Self>, Error> {
        let file = match File::open(directory) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("open", directory)(error)),
        };
        let locked = file.metadata().map_err(Error::file("stat", directory))?.ino();
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => file,
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(Error::Busy { path: directory.to_owned() });
            }
            Err((_, errno)) => return Err(Error::file("flock", directory)(errno.into())),
        };
        // Between open and flock it may have been removed, and made anew by somebody else.
        match fs::metadata(directory) {
            Ok(now) if now.ino() == locked => Ok(Some(Self { _file: file })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("stat", directory)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_taker_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a1");
        let held = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(Error::Busy { .. })));
        drop(held);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn who_looks_at_a_folder_for_a_moment_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Lock::of(&dir.path().join("none")).unwrap().is_none());
        let held = Lock::of(dir.path()).unwrap().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| Lock::take(dir.path()).unwrap());
            thread::park_timeout(PAUSE);
            drop(held);
        });
    }
}
