//! One process per agent.

use std::{
    fs::{self, File},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use crate::Error;

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
    /// [`Error::Busy`] if another process holds it.
    pub(crate) fn take(directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory).map_err(Error::file("mkdir", directory))?;
        let file = File::open(directory).map_err(Error::file("open", directory))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, Errno::EWOULDBLOCK)) => Err(Error::Busy { path: directory.to_owned() }),
            Err((_, errno)) => Err(Error::file("flock", directory)(errno.into())),
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
}
