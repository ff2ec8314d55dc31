//! Finding a container's processes.

use std::fs;

use nix::unistd::Pid;

use crate::cgroup::Cgroup;
use crate::error::Result;

/// The process in `cgroup` or below that is process 1 of its pid namespace.
pub(crate) fn init(cgroup: &Cgroup) -> Result<Option<Pid>> {
    if let Some(pid) = cgroup.processes()?.into_iter().find(|pid| is_init(*pid)) {
        return Ok(Some(Pid::from_raw(pid)));
    }
    for child in cgroup.children()? {
        if let Some(pid) = init(&child)? {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// A process that is gone is not.
fn is_init(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    // One number for each namespace the process is in, the innermost last.
    pids.is_some_and(|pids| {
        let pids: Vec<&str> = pids.split_whitespace().collect();
        pids.len() > 1 && pids.last() == Some(&"1")
    })
}
