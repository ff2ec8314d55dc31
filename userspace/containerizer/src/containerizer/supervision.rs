//! Watching a helper to its end.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::entry::{Container, Entry, State};
use super::{Inner, blocking};
use crate::cgroup::Group;
use crate::checkpoint::{Checkpoint, Outcome};
use crate::{Error, Termination, helper};

/// Watches the helper `pidfd` of a container from now on. What this starts holds nothing of
/// the containerizer, which may go away meanwhile.
pub(super) fn supervise(
    inner: &Inner,
    entry: &Arc<Entry>,
    container: &Arc<Container>,
    pidfd: OwnedFd,
) {
    let checkpoint = inner.checkpoints.get(entry.id());
    let task = tokio::spawn({
        let (entry, container) = (Arc::clone(entry), Arc::clone(container));
        async move {
            let termination = match conclude(pidfd, &checkpoint, &container.plan.group).await {
                Ok(termination) => termination,
                Err(error) => Termination::Lost(error.to_string()),
            };
            entry.set(State::Ended(Some(container), termination));
        }
    });
    entry.supervised_by(task.abort_handle());
}

/// Waits for the helper's end, and learns from the checkpoint how the container's was.
async fn conclude(
    pidfd: OwnedFd,
    checkpoint: &Checkpoint,
    group: &Group,
) -> Result<Termination, Error> {
    helper::ended(pidfd).await.map_err(|source| Error::Io {
        operation: "wait for the helper of",
        path: checkpoint.directory().to_owned(),
        source,
    })?;
    settle(checkpoint, group, "its launch helper was killed").await
}

/// How a container without a helper ended: as its helper wrote, or else, with all that may
/// be left of it killed, for `reason`.
pub(super) async fn settle(
    checkpoint: &Checkpoint,
    group: &Group,
    reason: &str,
) -> Result<Termination, Error> {
    // Usually all is dead by now; what had left the pid namespace's reach is not.
    group.kill()?;
    group.emptied().await?;
    match checkpoint.outcome() {
        Ok(Some(outcome)) => return Ok(outcome.into()),
        Ok(None) => {}
        Err(error @ Error::Checkpoint { .. }) => return Ok(Termination::Lost(error.to_string())),
        Err(error) => return Err(error),
    }
    let reason = match checkpoint.last_words() {
        Some(words) => format!("{reason}: {words}"),
        None => reason.to_owned(),
    };
    let lost = Termination::Lost(reason);
    let (checkpoint, outcome) = (checkpoint.clone(), Outcome::Ended(lost.clone()));
    // So that a later one says the same.
    blocking(move || checkpoint.reserve_outcome()?.write(&outcome)).await?;
    Ok(lost)
}
