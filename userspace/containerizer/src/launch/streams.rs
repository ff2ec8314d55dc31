//! Where a command's standard streams lead to.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};

use super::terminal;
use crate::error::Step as _;
use crate::{SetupError, WindowSize};

/// A command's standard streams.
pub(super) struct Streams {
    /// Standard input.
    pub(super) input: File,
    /// Standard output.
    pub(super) output: File,
    /// Standard error.
    pub(super) errors: File,
}

/// What a container writes, in its sandbox.
pub(super) struct Logs {
    /// Standard output.
    pub(super) output: File,
    /// Standard error.
    pub(super) errors: File,
}

/// The container's ends of its streams.
pub(super) enum Ends {
    /// Nothing to read; it writes its logs itself.
    Logs,
    /// Nothing to read; the helper writes logs from these.
    Rotated {
        /// Standard output.
        output: OwnedFd,
        /// Standard error.
        errors: OwnedFd,
    },
    /// Pipes.
    Pipes {
        /// Standard input.
        input: OwnedFd,
        /// Standard output.
        output: OwnedFd,
        /// Standard error.
        errors: OwnedFd,
    },
    /// A terminal that it is going to open.
    Terminal {
        /// The size it has at first.
        size: WindowSize,
        /// Where it is sent to the helper.
        channel: OwnedFd,
    },
}

impl Ends {
    /// What they are open by.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        match self {
            Self::Logs => Vec::new(),
            Self::Rotated { output, errors } => [output, errors].map(AsRawFd::as_raw_fd).into(),
            Self::Pipes { input, output, errors } => {
                [input, output, errors].map(AsRawFd::as_raw_fd).into()
            }
            Self::Terminal { channel, .. } => vec![channel.as_raw_fd()],
        }
    }
}

impl Logs {
    /// What they are open by.
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        [&self.output, &self.errors].map(AsRawFd::as_raw_fd)
    }

    /// Opens those in the directory `sandbox` with the path `path`.
    pub(super) fn open(sandbox: BorrowedFd<'_>, path: &Path) -> Result<Self, SetupError> {
        let log = |name| log(sandbox, name, &path.join(name));
        Ok(Self { output: log("stdout")?, errors: log("stderr")? })
    }
}

impl Streams {
    /// The streams for these `ends`. To be called in the container, when its files are there.
    pub(super) fn open(ends: Ends, logs: &Logs) -> Result<Self, SetupError> {
        let dup = |file: &File| file.try_clone().step(|| "dup".into());
        match ends {
            Ends::Logs => {
                Ok(Self { input: null()?, output: dup(&logs.output)?, errors: dup(&logs.errors)? })
            }
            Ends::Rotated { output, errors } => {
                Ok(Self { input: null()?, output: output.into(), errors: errors.into() })
            }
            Ends::Pipes { input, output, errors } => {
                Ok(Self { input: input.into(), output: output.into(), errors: errors.into() })
            }
            Ends::Terminal { size, channel } => {
                let terminal = terminal::open(size, &channel)?;
                Ok(Self { input: dup(&terminal)?, output: dup(&terminal)?, errors: terminal })
            }
        }
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
