//! Asking a container to end, which for a process 1 is not what it is for others.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::process::Signal;

use crate::Error;
use crate::error::At as _;
use crate::helper::{ended, kill};
use crate::launch::plan::{Namespace, Plan};
use crate::pid::ProcessId;

/// A process 1 that ends when these others have.
pub(super) struct Deputies {
    first: OwnedFd,
    others: Vec<OwnedFd>,
    init: ProcessId,
}

/// Sends `signal`. A process 1 that catches it does what it thinks right. One that does not, a
/// shell for example, would die of it anywhere else, and the kernel spares it: so the others get
/// it in its place, and when they have ended it is to end too, if the signal is one to die of.
///
/// In the agent's pid namespace the first process is one like any other.
pub(super) fn tell(
    plan: &Plan,
    init: ProcessId,
    signal: Signal,
) -> Result<Option<Deputies>, Error> {
    let Some(first) = init.open()? else {
        return Ok(None);
    };
    let at = || format!("process {}", init.pid);
    // What cannot be read has just ended.
    let status = fs::read_to_string(format!("/proc/{}/status", init.pid));
    let is_1 = plan.namespaces.contains(&Namespace::Pid);
    if !is_1
        || matches!(signal, Signal::KILL | Signal::STOP)
        || status.is_ok_and(|status| notices(&status, signal.as_raw()))
    {
        kill(&first, signal).at("kill", at())?;
        return Ok(None);
    }
    let mut others = Vec::new();
    for process in plan.group.processes()? {
        if process != init.pid
            && let Some(other) = plan.group.open(process)?
        {
            kill(&other, signal).at("kill", format!("process {process}"))?;
            others.push(other);
        }
    }
    Ok(is_deadly(signal).then_some(Deputies { first, others, init }))
}

impl Deputies {
    /// Waits for the others' end, and ends the first.
    pub(super) async fn end(self) -> Result<(), Error> {
        let at = || format!("process {}", self.init.pid);
        for other in self.others {
            ended(other).await.at("wait for", at())?;
        }
        kill(&self.first, Signal::KILL).at("kill", at())
    }
}

/// Whether who does nothing about `signal` dies of it (signal(7)).
fn is_deadly(signal: Signal) -> bool {
    !matches!(
        signal,
        Signal::CHILD
            | Signal::CONT
            | Signal::URG
            | Signal::WINCH
            | Signal::STOP
            | Signal::TSTP
            | Signal::TTIN
            | Signal::TTOU
    )
}

/// Whether a process 1 with this `/proc/<pid>/status` would do anything on `signal`, if only
/// to ignore it on purpose. A blocked signal may be one that is waited for.
fn notices(status: &str, signal: i32) -> bool {
    let bit = 1_u64 << (signal - 1);
    let masks = status.lines().filter_map(|line| {
        let (name, mask) = line.split_once(":\t")?;
        matches!(name, "SigBlk" | "SigIgn" | "SigCgt").then_some(mask)
    });
    masks
        .map(|mask| u64::from_str_radix(mask.trim(), 16))
        .any(|mask| mask.is_ok_and(|mask| mask & bit != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_action_goes_unnoticed() {
        let status = |blocked: &str, ignored: &str, caught: &str| {
            format!(
                "Name:\tsh\nShdPnd:\t0000000000004000\nSigBlk:\t{blocked}\n\
                 SigIgn:\t{ignored}\nSigCgt:\t{caught}\n"
            )
        };
        let (none, term, other) = ("0000000000000000", "0000000000004000", "0000000000010002");
        assert!(!notices(&status(none, none, none), libc::SIGTERM));
        assert!(!notices(&status(other, other, other), libc::SIGTERM));
        assert!(notices(&status(term, none, none), libc::SIGTERM));
        assert!(notices(&status(none, term, none), libc::SIGTERM));
        assert!(notices(&status(none, none, term), libc::SIGTERM));
    }
}
