//! Processes by a name that is never used twice.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use procfs::FromRead;
use procfs::process::Stat;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::cgroup::file;
use crate::error::At;

/// A process: its number, and when it began, because numbers come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    /// Its number in the containerizer's pid namespace.
    pub(crate) pid: u32,
    /// Its start, in clock ticks since boot.
    pub(crate) started: u64,
}

impl ProcessId {
    /// The process that has number `pid` now.
    pub(crate) fn of(pid: u32) -> Result<Self, Error> {
        let path = format!("/proc/{pid}/stat");
        let stat = file::read(path.as_ref())?;
        let stat =
            Stat::from_read(stat.as_bytes()).map_err(std::io::Error::other).at("read", &path)?;
        Ok(Self { pid, started: stat.starttime })
    }

    /// A descriptor of this very process; `None` when it is gone, even if another has its
    /// number now.
    pub(crate) fn open(self) -> Result<Option<OwnedFd>, Error> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error).at("pidfd_open", format!("process {}", self.pid)),
        };
        // Opened first and compared afterwards: what is compared is what is open.
        match Self::of(self.pid) {
            Ok(now) if now == self && !ended(&fd) => Ok(Some(fd)),
            _ => Ok(None),
        }
    }
}

/// Whether the process has ended (it may not have been waited for yet).
pub(crate) fn ended(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec::default())), Ok(ready) if ready > 0)
}

/// Collects an ended process if it is a child of this one, so that no zombie stays.
pub(crate) fn reap(pidfd: &OwnedFd) {
    use std::os::fd::AsFd as _;
    // ECHILD, the only expected error, says that somebody else's child it was.
    let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
}

/// This boot's id: after another boot no checkpointed process is alive.
pub(crate) fn boot_id() -> Result<String, Error> {
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known.clone());
    }
    let text = file::read("/proc/sys/kernel/random/boot_id".as_ref())?;
    Ok(KNOWN.get_or_init(|| text.trim().to_owned()).clone())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn opens_only_the_process_that_was_meant() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(own.open().unwrap().is_some());
        let recycled = ProcessId { started: own.started + 1, ..own };
        assert!(recycled.open().unwrap().is_none());
    }

    #[test]
    fn an_ended_process_is_gone_before_and_after_it_is_reaped() {
        let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let fd = id.open().unwrap().unwrap();
        assert!(!ended(&fd));
        drop(child.stdin.take());
        let mut fds = [PollFd::new(&fd, PollFlags::IN)];
        poll(&mut fds, None).unwrap();
        assert!(ended(&fd));
        assert!(id.open().unwrap().is_none(), "a zombie is not alive");
        reap(&fd);
        assert!(id.open().unwrap().is_none());
        assert!(child.wait().is_err(), "it has been collected");
    }
}
