//! The helper's part: from the order to the exit status.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::Answers;
use super::board::Board;
use super::logs::Rotated;
use super::oom::OomWatch;
use super::order::Report;
use super::plan::{Namespace, Plan};
use super::streams::{Ends, Logs};
use super::system::{self, Forked, SingleThreaded, fork, open_directory};
use super::users::Users;
use super::{init, join};
use crate::checkpoint::{Checkpoint, Outcome, Reserved};
use crate::error::Step as _;
use crate::pid::ProcessId;
use crate::{SetupError, Termination, isolator};

/// A child that has become, or is becoming, a command.
pub(super) struct Child {
    /// By number and start.
    pub(super) id: ProcessId,
    /// By descriptor.
    pub(super) pidfd: OwnedFd,
    /// Hangs up when this process dies.
    _lifeline: OwnedFd,
}

/// Runs a container and returns when it has ended and that is on disk.
pub(super) fn run(
    plan: &Plan,
    alone: SingleThreaded,
    mut answers: Answers,
) -> Result<(), SetupError> {
    let checkpoint = Checkpoint::at(plan.checkpoint.clone());
    // A disk too full for the exit status is too full for the container.
    let mut status = checkpoint.reserve_outcome().map_err(|error| refuse(&mut answers, &error))?;
    let oom = if plan.memory { OomWatch::new(&plan.group).map(Some) } else { Ok(None) };
    let started = oom.and_then(|oom| {
        let around = plan.around.map(join::open).transpose()?;
        if let Some(around) = &around {
            join::namespaces(around)?;
        }
        let users = match (&around, plan.ids) {
            (_, None) => None,
            (None, Some(ids)) => Some(Users::new(alone, ids)?),
            (Some(around), Some(_)) => Users::joined(around)?,
        };
        let logs = Logs::open(init::sandbox(plan)?.as_fd(), &plan.sandbox)?;
        let (mut rotated, ends) = match plan.io {
            None => Rotated::open(plan)?,
            Some(_) => (Rotated::default(), Ends::Logs),
        };
        let (mut board, ends) = match plan.io {
            None => (None, ends),
            Some(io) => Board::new(plan, io, &logs).map(|(board, ends)| (Some(board), ends))?,
        };
        if let Some(board) = board.as_mut().filter(|_| plan.io.is_some_and(|io| io.first)) {
            answers.send(&Report::Listening);
            board.await_first(answers.lifeline())?;
        }
        let mut kept = ends.descriptors();
        kept.extend(logs.descriptors());
        kept.extend(around.as_ref().map(AsRawFd::as_raw_fd));
        kept.extend(users.as_ref().map(Users::descriptor));
        let child = start(
            &plan.group,
            clone_flags(&plan.namespaces),
            around.is_some(),
            alone,
            |child| Ok(checkpoint.write_init(child)?),
            kept,
            |go| init::run(plan, around.as_ref(), users.as_ref(), (ends, &logs), &go),
        )?;
        if let (Some(board), Some(io)) = (&mut board, plan.io) {
            board.take_over(plan, io, &logs)?;
        }
        rotated.give()?;
        Ok((oom, board, rotated, child))
    });
    let (mut oom, mut board, mut rotated, child) = match started {
        Ok(started) => started,
        Err(error) => {
            record(&mut status, &Outcome::NotStarted(error.clone()))?;
            answers.send(&Report::Failed(error));
            return Ok(());
        }
    };
    answers.send(&Report::Started(child.id));
    let mounts = plan.namespaces.contains(&Namespace::Mount).then(|| child.mounts());
    let out_of_memory = watch(plan, &child, oom.as_mut(), board.as_mut(), &mut rotated)?;
    let ended = child.wait()?;
    if !plan.namespaces.contains(&Namespace::Pid) {
        // Nothing else ends them with it.
        plan.group.kill()?;
    }
    if let Some(board) = &mut board {
        board.finish();
    }
    rotated.drain();
    let exceeded = match oom {
        Some(_) => isolator::exceeded(&plan.group, out_of_memory)?,
        None => None,
    };
    record(&mut status, &Outcome::Ended(exceeded.map_or(ended, Termination::Limited)))?;
    // The containerizer goes on by that, while this process takes the mounts away.
    drop(answers);
    drop(mounts);
    Ok(())
}

/// The flags of clone(2) for new `namespaces`.
fn clone_flags(namespaces: &BTreeSet<Namespace>) -> i32 {
    let flag = |namespace: &Namespace| match namespace {
        Namespace::Mount => libc::CLONE_NEWNS,
        Namespace::Pid => libc::CLONE_NEWPID,
        Namespace::Uts => libc::CLONE_NEWUTS,
        Namespace::Ipc => libc::CLONE_NEWIPC,
    };
    namespaces.iter().map(flag).fold(0, |flags, flag| flags | flag)
}

/// Waits for the end, and serves its streams meanwhile. When memory runs out the whole
/// container is killed, and not only the process that the kernel chose: the rest could not know
/// what it misses.
fn watch(
    plan: &Plan,
    child: &Child,
    mut oom: Option<&mut OomWatch>,
    mut board: Option<&mut Board>,
    rotated: &mut Rotated,
) -> Result<bool, SetupError> {
    let mut out_of_memory = false;
    if oom.is_none() && board.is_none() && rotated.is_empty() {
        return Ok(out_of_memory);
    }
    loop {
        let (ended, memory, written) = {
            let mut fds = vec![PollFd::new(&child.pidfd, PollFlags::IN)];
            let news = oom.as_deref().filter(|_| !out_of_memory).map(OomWatch::poll);
            fds.extend(news.map(|(memory, flags)| PollFd::from_borrowed_fd(memory, flags)));
            let first = fds.len();
            let (numbers, pipes): (Vec<usize>, Vec<_>) = rotated.pipes().unzip();
            let last = first + numbers.len();
            fds.extend(pipes.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            fds.extend(board.as_deref().map(Board::fds).unwrap_or_default());
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).step(|| "poll the container".into()),
            }
            let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
            let written = numbers.into_iter().zip(&fds[first..last]).filter(|(_, fd)| ready(fd));
            let written: Vec<usize> = written.map(|(number, _)| number).collect();
            (ready(&fds[0]), fds[1..first].iter().any(ready), written)
        };
        for number in written {
            rotated.take(number);
        }
        if memory && oom.as_mut().is_some_and(|oom| oom.take()) {
            out_of_memory = true;
            plan.group.kill()?;
        }
        if let Some(board) = &mut board {
            board.turn();
        }
        if ended {
            return Ok(out_of_memory);
        }
    }
}

/// Forks into the container's cgroups, lets `record` note the child, and returns when it
/// has become its command. If this process has `joined` another container's namespaces, new
/// ones are made in those. `part` is the child's: of what is open here it has `kept`.
pub(super) fn start(
    group: &crate::cgroup::Group,
    namespaces: i32,
    joined: bool,
    alone: SingleThreaded,
    record: impl FnOnce(ProcessId) -> Result<(), SetupError>,
    kept: Vec<RawFd>,
    part: impl FnOnce(OwnedFd) -> Result<std::convert::Infallible, SetupError>,
) -> Result<Child, SetupError> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).step(|| "pipe".into());
    let ((go, lifeline), (failures, failed)) = (pipe()?, pipe()?);
    let home = group.home();
    let cgroup = open_directory(&home).step(|| format!("open {}", home.display()))?;
    let forked = fork(alone, namespaces, joined, cgroup.as_fd()).step(|| "clone3".into())?;
    let (pid, pidfd) = match forked {
        Forked::Parent { pid, pidfd } => (pid, pidfd),
        Forked::Child => {
            drop((lifeline, failures, cgroup));
            let mut open = kept;
            open.extend([go.as_raw_fd(), failed.as_raw_fd()]);
            system::child(failed, || {
                // What is open on the host has a name in /proc/self/fd, which a path of the
                // image may begin with: closed by exec is closed too late.
                system::close_all_but(open).step(|| "close_range".into())?;
                group.join()?;
                part(go)
            })
        }
    };
    drop((go, failed));
    let prepared: Result<ProcessId, SetupError> = (|| {
        let id = ProcessId::of(pid)?;
        record(id)?;
        rustix::io::write(&lifeline, b"g").step(|| "tell the child".into())?;
        Ok(id)
    })();
    if prepared.is_err() {
        // It waits for a word that will not come. That it has ended already is fine.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
    // Closed by exec, or by the child's end.
    let mut text = Vec::new();
    let read = File::from(failures).read_to_end(&mut text).step(|| "hear from the child".into());
    let child = |id| Child { id, pidfd, _lifeline: lifeline };
    match (prepared, read) {
        (Ok(id), Ok(0)) => Ok(child(id)),
        (prepared, read) => {
            let told = serde_json::from_slice::<SetupError>(&text);
            let unknown = ProcessId { pid, started: 0 };
            let child = child(unknown);
            // It is ending if it has said why, and has to if not.
            let _ = pidfd_send_signal(&child.pidfd, Signal::KILL);
            child.wait()?;
            // What the child says explains what the helper met with, not the other way round.
            if let Ok(told) = told {
                return Err(told);
            }
            prepared?;
            read?;
            Err(SetupError::new("set up the container", "the child failed without a word"))
        }
    }
}

impl Child {
    /// Its mount namespace, which ends with this: to take mounts away takes longer than a
    /// short command, and nobody has to wait for that to learn of the command's end. `None`
    /// if it has ended already.
    fn mounts(&self) -> Option<File> {
        File::open(format!("/proc/{}/ns/mnt", self.id.pid)).ok()
    }

    /// Waits for its end.
    pub(super) fn wait(&self) -> Result<Termination, SetupError> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) | Ok(None) => {}
                Err(error) => return Err(error).step(|| "waitid".into()),
                Ok(Some(status)) => {
                    return Ok(match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Termination::Exited(code),
                        (None, signal) => Termination::Signaled(signal.unwrap_or_default()),
                    });
                }
            }
        }
    }
}

fn record(status: &mut Reserved, outcome: &Outcome) -> Result<(), SetupError> {
    Ok(status.write(outcome)?)
}

fn refuse(answers: &mut Answers, error: &crate::Error) -> SetupError {
    let error = SetupError::new("reserve room for the exit status", error.to_string());
    answers.send(&Report::Failed(error.clone()));
    error
}

impl From<crate::Error> for SetupError {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::Setup(error) => error,
            crate::Error::Io { operation, path, source } => Self {
                step: format!("{operation} {}", path.display()),
                reason: source.to_string(),
                errno: source.raw_os_error(),
            },
            other => Self::new("launch helper", other.to_string()),
        }
    }
}
