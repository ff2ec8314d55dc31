//! A command that joins a running container.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, chdir, kill_process_group, pidfd_send_signal};

use super::order::Entry;
use super::run::{Child, start};
use super::streams::Streams;
use super::system::SingleThreaded;
use super::users::Users;
use super::{init, join};
use crate::error::Step as _;
use crate::{ExecStatus, SetupError};

/// Longer than any command is meant to take: a month.
const TIMEOUT_MAX: Duration = Duration::from_hours(30 * 24);

/// Runs the command and returns how it ended. It is killed when its time is over, and when
/// the containerizer closes its end of standard input, as its death does.
pub(super) fn enter(entry: &Entry, alone: SingleThreaded) -> Result<ExecStatus, SetupError> {
    let container = join::open(entry.init)?;
    let timeout = Duration::from_millis(entry.timeout_ms).min(TIMEOUT_MAX);
    let deadline = Instant::now() + timeout;
    let users = Users::joined(&container)?;
    join::namespaces(&container)?;
    let mut kept = vec![container.as_raw_fd()];
    kept.extend(users.as_ref().map(Users::descriptor));
    let part = |go| enter_files(entry, &container, users.as_ref(), &go);
    let child = start(&entry.group, 0, true, alone, |_| Ok(()), kept, part)?;
    if await_end(&child, deadline)? {
        return child.wait();
    }
    kill(&child);
    child.wait()?;
    Ok(ExecStatus::TimedOut)
}

/// The child's part.
fn enter_files(
    entry: &Entry,
    container: &OwnedFd,
    users: Option<&Users>,
    go: &OwnedFd,
) -> Result<Infallible, SetupError> {
    init::isolate_from_helper(&entry.process)?;
    let streams = Streams::null()?;
    join::files(container)?;
    chdir("/").step(|| "chdir /".into())?;
    let identity = init::identity(&entry.process)?;
    init::become_command(&entry.process, &identity, users, &streams, go)
}

/// Whether the child ended before the deadline and before the containerizer went away.
fn await_end(child: &Child, deadline: Instant) -> Result<bool, SetupError> {
    let stdin = io::stdin();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left)
            .map_err(|_| SetupError::new("wait", "the timeout is out of range"))?;
        let mut fds =
            [PollFd::new(&child.pidfd, PollFlags::IN), PollFd::new(&stdin, PollFlags::empty())];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(!fds[0].revents().is_empty()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).step(|| "poll the command".into()),
        }
    }
}

/// Kills the command and the processes of its group.
fn kill(child: &Child) {
    // Gone already is as good as killed: the child is waited for next.
    if let Some(group) = i32::try_from(child.id.pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
}
