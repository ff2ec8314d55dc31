//! The containerizer's side of its helpers.

mod nursery;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::{AsyncBufReadExt as _, BufReader, Interest};
use tokio::net::unix::pipe::Receiver;

use crate::Error;
use crate::error::At as _;
use crate::launch::order::{Order, Report};
use crate::launch::read_only_copy;
use crate::pid::{ProcessId, reap};
use crate::readiness::register;
use nursery::Nursery;

/// The helper program.
pub(crate) struct Program {
    path: PathBuf,
    /// Its file, in a read-only mount that is attached nowhere. Through it helpers are
    /// started, so that a container that gets hold of `/proc/<helper>/exe` cannot write to
    /// the program on the host; and a new version in its place does not change ours.
    file: OwnedFd,
    /// Once a helper has been wanted.
    nursery: Mutex<Option<Nursery>>,
}

/// A helper that has been started and does nothing before its order.
pub(crate) struct Helper {
    /// By number and start.
    pub(crate) id: ProcessId,
    /// By descriptor.
    pub(crate) pidfd: OwnedFd,
    program: PathBuf,
    input: File,
    output: OwnedFd,
}

/// Reports of a helper.
pub(crate) struct Reports {
    program: PathBuf,
    lines: BufReader<Receiver>,
}

impl Program {
    /// The program at `path`.
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        let file = read_only_copy(path)?;
        Ok(Self { path: path.to_owned(), file, nursery: Mutex::default() })
    }

    /// Starts a helper whose complaints go to `log`. Blocks for as long as a fork does, and
    /// the first time for as long as exec does.
    pub(crate) fn start(&self, log: Option<&Path>) -> Result<Helper, Error> {
        let errors = match log {
            Some(path) => File::create(path).at("create", path)?,
            None => File::options().write(true).open("/dev/null").at("open", "/dev/null")?,
        };
        let pipe = || pipe_with(PipeFlags::CLOEXEC).at("pipe", &self.path);
        let ((its_input, input), (output, its_output)) = (pipe()?, pipe()?);
        let streams = [its_input.as_fd(), its_output.as_fd(), errors.as_fd()];
        let (pid, pidfd) = {
            let mut nursery = self.nursery.lock().unwrap_or_else(PoisonError::into_inner);
            let helper = match &*nursery {
                Some(nursery) => nursery.helper(streams)?,
                None => None,
            };
            if let Some(helper) = helper {
                helper
            } else {
                // The first time, or somebody has killed it.
                let nursery = nursery.insert(Nursery::start(&self.path, &self.file)?);
                let helper = nursery.helper(streams)?;
                helper.ok_or_else(|| self.failed("it ended at once".into()))?
            }
        };
        // It is this process' child and not waited for: the number is still its.
        let id = ProcessId::of(pid)?;
        Ok(Helper { id, pidfd, program: self.path.clone(), input: input.into(), output })
    }

    fn failed(&self, reason: String) -> Error {
        Error::Helper { helper: self.path.clone(), reason }
    }
}

impl Helper {
    /// Gives it its order. Blocks until it has been read.
    pub(crate) fn command(&mut self, order: &Order) -> Result<(), Error> {
        order.write(&mut self.input).map_err(|error| Error::Helper {
            helper: self.program.clone(),
            reason: format!("it does not take its order: {error}"),
        })
    }

    /// Ends it before it has done anything.
    pub(crate) fn abandon(self) {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        drop((self.input, self.output));
        // A child that is not collected can be killed and waited for; nothing else fails.
        let _ = kill(&self.pidfd, Signal::KILL);
        let _ = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
    }

    /// Lets go of it: its end, and its reports.
    pub(crate) fn detach(self) -> Result<(OwnedFd, Reports), Error> {
        let receiver = Receiver::from_owned_fd(self.output).at("epoll", &self.program)?;
        let reports = Reports { program: self.program, lines: BufReader::new(receiver) };
        Ok((self.pidfd, reports))
    }
}

impl Reports {
    /// The next report. A helper that ends without one is an error.
    pub(crate) async fn next(&mut self) -> Result<Report, Error> {
        let failed = |reason| Error::Helper { helper: self.program.clone(), reason };
        let mut line = String::new();
        self.lines.read_line(&mut line).await.map_err(|error| failed(error.to_string()))?;
        if line.is_empty() {
            return Err(failed("it ended without a report".into()));
        }
        serde_json::from_str(&line).map_err(|error| failed(format!("an unclear report: {error}")))
    }
}

impl Reports {
    /// Waits until the helper has closed its end: it has written how the container ended, or
    /// it has ended itself.
    pub(crate) async fn closed(self) {
        // Without the room for a report, while the container runs.
        let receiver = self.lines.into_inner();
        loop {
            match receiver.readable().await.and_then(|()| receiver.try_read(&mut [0; 64])) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Nothing more will be heard: it is as if it were closed.
                Err(_) => return,
            }
        }
    }
}

/// Waits until the process has ended, and collects it if it is a child of this one.
pub(crate) async fn ended(pidfd: OwnedFd) -> io::Result<()> {
    let pidfd = register(pidfd, Interest::READABLE)?;
    pidfd.readable().await?.retain_ready();
    reap(pidfd.get_ref());
    Ok(())
}

/// Kills the process; nothing if it has ended.
pub(crate) fn kill(pidfd: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(pidfd, signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}
