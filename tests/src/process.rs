//! Finding a container's processes.

use std::fs;

use nix::unistd::Pid;

use crate::cgroup::Cgroup;
use crate::error::Result;

/// The first process in `cgroup` or below that `wanted` accepts.
pub(crate) fn find(cgroup: &Cgroup, wanted: impl Fn(i32) -> bool + Copy) -> Result<Option<Pid>> {
    if let Some(pid) = cgroup.processes()?.into_iter().find(|pid| wanted(*pid)) {
        return Ok(Some(Pid::from_raw(pid)));
    }
    for child in cgroup.children()? {
        if let Some(pid) = find(&child, wanted)? {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// Whether `pid` is process 1 of its pid namespace and runs for `task`. A process that is gone
/// is not.
pub(crate) fn is_init_of_task(pid: i32, task: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is_init = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .is_some_and(|pids| pids.split_whitespace().last() == Some("1"));
    is_init && environment(pid).contains(&format!("MESOS_TASK_ID={task}").into_bytes())
}

fn environment(pid: i32) -> Vec<Vec<u8>> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}
