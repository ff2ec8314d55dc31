//! Ending and removing containers.

use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use super::entry::{Container, Entry, State};
use super::{Inner, blocking, recovery};
use crate::error::At as _;
use crate::pid::ProcessId;
use crate::{Error, helper};

/// How often, and how long apart, an empty cgroup is tried to be removed: exiting tasks
/// hold on to it a little longer than they count.
const REMOVALS: u32 = 200;
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// Ends a container, kindly at first.
pub(super) async fn kill(inner: &Inner, entry: &Entry, grace: Duration) -> Result<(), Error> {
    if let State::Launching = entry.state() {
        entry.cancel();
    }
    let State::Running(container) = entry.settled().await else {
        return Ok(());
    };
    if let Some(init) = inner.checkpoints.get(entry.id()).init()? {
        ask(init)?;
    }
    if tokio::time::timeout(grace, entry.ended()).await.is_err() {
        container.plan.group.kill()?;
    }
    match entry.ended().await {
        // Destroyed meanwhile, which is at least as much.
        Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sends SIGTERM to the process, or SIGKILL if it would not notice.
fn ask(init: ProcessId) -> Result<(), Error> {
    let Some(pidfd) = init.open()? else {
        return Ok(());
    };
    let path = format!("/proc/{}/status", init.pid);
    let signal = match fs::read_to_string(&path) {
        Ok(status) if !notices(&status, libc::SIGTERM) => Signal::KILL,
        _ => Signal::TERM,
    };
    helper::kill(&pidfd, signal).at("kill", format!("process {}", init.pid))
}

/// Whether a process 1 with this `/proc/<pid>/status` would do anything on `signal`, if only
/// to ignore it on purpose. The kernel spares a process 1 the default action, which for
/// SIGTERM is to end. A blocked signal may be one that is waited for.
fn notices(status: &str, signal: i32) -> bool {
    let bit = 1_u64 << (signal - 1);
    let masks = status.lines().filter_map(|line| {
        let (name, mask) = line.split_once(":\t")?;
        matches!(name, "SigBlk" | "SigIgn" | "SigCgt").then_some(mask)
    });
    masks
        .map(|mask| u64::from_str_radix(mask.trim(), 16))
        .any(|mask| mask.is_ok_and(|m| m & bit != 0))
}

/// Kills and removes a container.
pub(super) async fn destroy(inner: &Arc<Inner>, id: &str) -> Result<(), Error> {
    let known = inner.containers().get(id).cloned();
    let entry = match known {
        Some(entry) => entry,
        // Of an earlier run, and not taken over yet.
        None => match recovery::adopt(inner, id).await? {
            Some(entry) => entry,
            None => return Ok(()),
        },
    };
    if let State::Launching = entry.state() {
        entry.cancel();
    }
    let (container, termination) = match entry.settled().await {
        State::Running(container) => {
            container.plan.group.kill()?;
            (Some(container), entry.ended().await?)
        }
        State::Ended(container, termination) => (container, termination),
        State::Launching | State::Gone(_) => return Ok(()),
    };
    let _one_at_a_time = entry.removal.lock().await;
    if let State::Gone(_) = entry.state() {
        return Ok(());
    }
    remove(inner, &entry, container.as_deref()).await?;
    inner.containers().remove(id);
    entry.set(State::Gone(Some(termination)));
    Ok(())
}

/// Removes what belongs to a container none of whose helpers lives: first what the
/// checkpoint tells of, at last the checkpoint.
pub(super) async fn remove(
    inner: &Arc<Inner>,
    entry: &Entry,
    container: Option<&Container>,
) -> Result<(), Error> {
    let group = inner.group(entry.id());
    group.kill()?;
    group.emptied().await?;
    let mut tries = 0;
    loop {
        let removed = group.remove();
        match &removed {
            Err(Error::Io { source, .. })
                if source.raw_os_error() == Some(libc::EBUSY) && tries < REMOVALS => {}
            _ => break removed?,
        }
        tries += 1;
        tokio::time::sleep(REMOVAL_PAUSE).await;
    }
    let checkpoint = inner.checkpoints.get(entry.id());
    let scratch = match container {
        Some(container) => Some(container.plan.scratch.clone()),
        None => match checkpoint.container() {
            Ok(container) => container.map(|container| container.plan.scratch),
            // Without a plan there is no telling; it has been reported on recovery.
            Err(Error::Checkpoint { .. }) => None,
            Err(error) => return Err(error),
        },
    };
    let (inner, id) = (Arc::clone(inner), entry.id().to_owned());
    blocking(move || {
        if let Some(scratch) = scratch {
            match fs::remove_dir_all(&scratch) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.at("remove", &scratch)?,
            }
        }
        inner.checkpoints.remove(&id)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_action_goes_unnoticed() {
        let status = |blocked: &str, ignored: &str, caught: &str| {
            format!(
                "Name:\tsh\nShdPnd:\t0000000000004000\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\nSigCgt:\t{caught}\n"
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
