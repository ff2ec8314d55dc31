//! Watching a helper to its end.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Poll;

use super::entry::{Entry, State};
use super::{Inner, blocking};
use crate::cgroup::Group;
use crate::checkpoint::{Checkpoint, Outcome};
use crate::isolator::{Subject, Watch};
use crate::{Error, Limitation, Termination, helper};

/// Watches the helper `pidfd` of a container from now on. What this starts holds nothing of
/// the containerizer, which may go away meanwhile.
pub(super) fn supervise(inner: &Inner, entry: &Arc<Entry>, subject: &Arc<Subject>, pidfd: OwnedFd) {
    let checkpoint = inner.checkpoints.get(entry.id());
    let watches = inner.isolators.watch(subject);
    let task = tokio::spawn({
        let (entry, subject) = (Arc::clone(entry), Arc::clone(subject));
        async move {
            let group = &subject.plan.group;
            let concluded = tokio::select! {
                concluded = conclude(pidfd, &checkpoint, group) => concluded,
                Err(error) = enforce(watches, &checkpoint, group) => Err(error),
            };
            let termination =
                concluded.unwrap_or_else(|error| Termination::Lost(error.to_string()));
            entry.set(State::Ended(Some(subject), termination));
        }
    });
    entry.supervised_by(task.abort_handle());
}

/// Waits for a limit that the container goes over, kills it, and leaves the rest to who
/// waits for its end.
async fn enforce(
    watches: Vec<Watch>,
    checkpoint: &Checkpoint,
    group: &Group,
) -> Result<Infallible, Error> {
    // An earlier agent may have come as far as this.
    if checkpoint.limitation()?.is_none() {
        let limitation = first(watches).await;
        let checkpoint = checkpoint.clone();
        // So that its end is known to be this one's doing.
        blocking(move || checkpoint.write_limitation(&limitation)).await?;
    }
    group.kill()?;
    pending().await
}

/// The first limitation of all.
async fn first(mut watches: Vec<Watch>) -> Limitation {
    poll_fn(|context| {
        let polled = watches.iter_mut().map(|watch| watch.as_mut().poll(context));
        polled.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
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
    if let Ok(Some(limitation)) = checkpoint.limitation() {
        return Ok(Termination::Limited(limitation));
    }
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
