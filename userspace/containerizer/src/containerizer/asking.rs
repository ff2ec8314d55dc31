//! Asking a container to end, which for a process 1 is not what it is for others.

use std::fs;

use rustix::process::Signal;

use crate::Error;
use crate::error::At as _;
use crate::helper::{ended, kill};
use crate::launch::plan::{Namespace, Plan};
use crate::pid::ProcessId;

/// Asks with SIGTERM. A process 1 that catches it does what it thinks right. One that does
/// not, a shell for example, would die of it anywhere else, and the kernel spares it: so the
/// others are asked in its place, and when they have ended so does it.
///
/// In the agent's pid namespace the first process is one like any other.
pub(super) async fn ask(plan: &Plan, init: ProcessId) -> Result<(), Error> {
    let Some(first) = init.open()? else {
        return Ok(());
    };
    let at = || format!("process {}", init.pid);
    // What cannot be read has just ended.
    let status = fs::read_to_string(format!("/proc/{}/status", init.pid));
    let is_1 = plan.namespaces.contains(&Namespace::Pid);
    if !is_1 || status.is_ok_and(|status| notices(&status, libc::SIGTERM)) {
        return kill(&first, Signal::TERM).at("kill", at());
    }
    let mut others = Vec::new();
    for process in plan.group.processes()? {
        if process != init.pid
            && let Some(other) = plan.group.open(process)?
        {
            kill(&other, Signal::TERM).at("kill", format!("process {process}"))?;
            others.push(other);
        }
    }
    for other in others {
        ended(other).await.at("wait for", at())?;
    }
    kill(&first, Signal::KILL).at("kill", at())
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
