//! The process that helpers are forked from, as the containerizer sees it.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::launch::nursery::{Answer, STREAMS, answered, request};
use crate::{Error, SetupError};

/// It ends when this is dropped, and is started again should it have ended before.
pub(super) struct Nursery {
    process: Child,
    /// Its standard input.
    socket: Option<OwnedFd>,
}

impl Nursery {
    /// Starts the program `file`, called `path`. Blocks for as long as exec does.
    pub(super) fn start(path: &Path, file: &OwnedFd) -> Result<Self, Error> {
        let failed = |reason: String| Error::Helper { helper: path.to_owned(), reason };
        let (own, its) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|error| failed(format!("socketpair: {error}")))?;
        let process = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .arg0(path)
            .arg("launch")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(its))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { process, socket: Some(own) })
    }

    /// A new helper with these standard streams: its number and its descriptor. It is a child
    /// of this process. `None` when the nursery has ended.
    pub(super) fn helper(
        &self,
        streams: [BorrowedFd<'_>; STREAMS],
    ) -> Result<Option<(u32, OwnedFd)>, SetupError> {
        let Some(socket) = &self.socket else { return Ok(None) };
        match request(socket.as_fd(), streams) {
            Err(Errno::PIPE | Errno::CONNRESET) => return Ok(None),
            sent => {
                sent.map_err(|error| SetupError::new("sendmsg a request", error.to_string()))?;
            }
        }
        let Some((answer, pidfd)) = answered(socket.as_fd())? else { return Ok(None) };
        let missing = || SetupError::new("recvmsg an answer", "a helper without a descriptor");
        match answer {
            Answer::Helper(pid) => Ok(Some((pid, pidfd.ok_or_else(missing)?))),
            Answer::Failed(error) => Err(error),
            Answer::Last(_) => {
                collect(&pidfd.ok_or_else(missing)?);
                Ok(None)
            }
        }
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            // It may have ended before, and the one that was ahead have been collected.
            let _ = shutdown(&socket, Shutdown::Write);
            if let Ok(Some((Answer::Last(_), Some(pidfd)))) = answered(socket.as_fd()) {
                collect(&pidfd);
            }
        }
        // It has nothing to do but to end; that it was collected already is fine.
        let _ = self.process.wait();
    }
}

/// Waits for a child that has nothing to do but to end.
fn collect(pidfd: &OwnedFd) {
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
}
