//! Where a command's standard streams lead to.

use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};

use crate::SetupError;
use crate::error::Step as _;

/// A command's standard streams.
pub(super) struct Streams {
    /// Standard input.
    pub(super) input: File,
    /// Standard output.
    pub(super) output: File,
    /// Standard error.
    pub(super) errors: File,
}

impl Streams {
    /// Nothing to read, and what is written is lost.
    pub(super) fn null() -> Result<Self, SetupError> {
        Ok(Self { input: null()?, output: null()?, errors: null()? })
    }

    /// Nothing to read, and logs in the directory `sandbox` with the path `path`.
    pub(super) fn logs(sandbox: BorrowedFd<'_>, path: &Path) -> Result<Self, SetupError> {
        let log = |name| log(sandbox, name, &path.join(name));
        Ok(Self { input: null()?, output: log("stdout")?, errors: log("stderr")? })
    }

    /// The files that are to be the command's user's.
    pub(super) fn owned(&self) -> [BorrowedFd<'_>; 2] {
        [self.output.as_fd(), self.errors.as_fd()]
    }
}

fn null() -> Result<File, SetupError> {
    let path = "/dev/null";
    File::options().read(true).write(true).open(path).step(|| format!("open {path}"))
}

/// The log `name` of a sandbox. What is there already is kept; a link is not followed.
fn log(sandbox: BorrowedFd<'_>, name: &str, path: &Path) -> Result<File, SetupError> {
    let step = || format!("open {}", path.display());
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let file = File::from(openat(sandbox, name, flags, Mode::from_raw_mode(0o644)).step(step)?);
    let kind = file.metadata().step(step)?;
    if !kind.is_file() {
        return Err(SetupError::new(step(), "not a file"));
    }
    // Whatever the agent's umask: Mesos' mode for logs.
    let mode: fs::Permissions = PermissionsExt::from_mode(0o644);
    file.set_permissions(mode).step(step)?;
    Ok(file)
}
