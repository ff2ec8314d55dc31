//! Watching a helper to its end.

use std::future::{pending, poll_fn};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::entry::{Entry, State};
use super::{Inner, blocking};
use crate::cgroup::Group;
use crate::checkpoint::{Checkpoint, Outcome};
use crate::error::At as _;
use crate::helper::Reports;
use crate::isolator::{Subject, Watch};
use crate::{Error, Limitation, Termination, helper};

/// Watches the helper `pidfd` of a container from now on, and its `reports` if this run of the
/// agent has started it. What this starts holds nothing of the containerizer, which may go
/// away meanwhile.
pub(super) fn supervise(
    inner: &Inner,
    entry: &Arc<Entry>,
    subject: &Arc<Subject>,
    pidfd: OwnedFd,
    reports: Option<Reports>,
) {
    let checkpoint = inner.checkpoints.get(entry.id());
    let watches = inner.isolators.watch(subject);
    let task = tokio::spawn({
        let (entry, subject) = (Arc::clone(entry), Arc::clone(subject));
        async move {
            let end = conclude(pidfd, reports, &entry, &checkpoint, &subject.plan.group);
            let termination = watch(end, watches, &checkpoint, &subject.plan.group).await;
            let termination =
                termination.unwrap_or_else(|error| Termination::Lost(error.to_string()));
            entry.set(State::Ended(Some(subject), termination));
        }
    });
    entry.supervised_by(task.abort_handle());
}

/// Waits for the container's end, or for a limit that it goes over: then kills it, and waits
/// all the same.
async fn watch(
    end: impl Future<Output = Result<Termination, Error>>,
    watches: Vec<Watch>,
    checkpoint: &Checkpoint,
    group: &Group,
) -> Result<Termination, Error> {
    let mut conclusion = pin!(end);
    // An earlier agent may have come no further than this. A note that cannot be read is no
    // reason to stop watching.
    let noted = checkpoint.limitation().ok().flatten();
    let limitation = if let Some(limitation) = noted {
        limitation
    } else {
        tokio::select! {
            termination = &mut conclusion => return termination,
            limitation = first(watches) => limitation,
        }
    };
    tracing::info!(group = %group.unified.display(), %limitation, "killing");
    let (note, noted) = (checkpoint.clone(), limitation.clone());
    // So that its end is known to be this one's doing. Without that it ends nevertheless.
    if let Err(error) = blocking(move || note.write_limitation(&noted)).await {
        tracing::warn!(%error, "cannot write why a container is killed");
    }
    group.kill()?;
    conclusion.await?;
    Ok(Termination::Limited(limitation))
}

/// The first limitation of all.
async fn first(mut watches: Vec<Watch>) -> Limitation {
    poll_fn(|context| {
        let polled = watches.iter_mut().map(|watch| watch.as_mut().poll(context));
        polled.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Waits for the container's end, and learns from the checkpoint how that was: as soon as its
/// helper has written it, or has ended without.
async fn conclude(
    pidfd: OwnedFd,
    reports: Option<Reports>,
    entry: &Entry,
    checkpoint: &Checkpoint,
    group: &Group,
) -> Result<Termination, Error> {
    // What the helper has still to do, by ending, is to take the container's mounts away.
    let mut end = tokio::spawn(helper::ended(pidfd));
    let told = async {
        match reports {
            Some(reports) => reports.closed().await,
            None => pending().await,
        }
    };
    let ended = tokio::select! {
        ended = &mut end => Some(ended),
        () = told => match checkpoint.outcome() {
            Ok(Some(_)) => None,
            // Killed, or about to say in another way that it has failed.
            _ => Some((&mut end).await),
        },
    };
    match ended {
        Some(ended) => {
            let ended = ended.map_err(io::Error::other).flatten();
            ended.at("wait for the helper of", checkpoint.directory())?;
        }
        None => entry.left_by_helper(end),
    }
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
    group.clear().await?;
    match checkpoint.limitation() {
        Ok(Some(limitation)) => return Ok(Termination::Limited(limitation)),
        // One that cannot be read says less than the end itself.
        Ok(None) | Err(Error::Checkpoint { .. }) => {}
        Err(error) => return Err(error),
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Child, Command};

    use super::*;
    use crate::cgroup::Version;
    use crate::isolator::testing;
    use crate::pid::ProcessId;
    use crate::{Amount, Cause};

    fn limitation(message: &str) -> Limitation {
        let resources = vec![Amount { name: "disk".into(), milli: 7 }];
        Limitation { cause: Cause::Disk, message: message.into(), resources }
    }

    fn will(message: &'static str) -> Watch {
        Box::pin(async move { limitation(message) })
    }

    fn never() -> Watch {
        Box::pin(pending())
    }

    /// A stand-in for a helper, which ends when its container is killed.
    fn helper(group: &Group) -> (Child, OwnedFd) {
        let kill = group.unified.join("cgroup.kill");
        fs::write(&kill, "").unwrap();
        fs::write(group.unified.join("cgroup.events"), "populated 0\n").unwrap();
        let line = format!("until grep -q 1 {}; do sleep 0.01; done", kill.display());
        let child = Command::new("/bin/sh").args(["-c", &line]).spawn().unwrap();
        let pidfd = ProcessId::of(child.id()).unwrap().open().unwrap().unwrap();
        (child, pidfd)
    }

    #[tokio::test]
    async fn who_goes_over_a_limit_is_killed_for_it() {
        let (directory, subject) = testing::subject(Version::V2, &[]);
        let checkpoint = Checkpoint::at(directory.path().join("checkpoint"));
        fs::create_dir(checkpoint.directory()).unwrap();
        let group = &subject.plan.group;
        let (_child, pidfd) = helper(group);
        let watches = vec![never(), will("too much")];
        // The file of a tree of plain files has no events, so that its end is an error; what
        // is asked here is what was done before.
        let entry = Entry::launching("c");
        let end = conclude(pidfd, None, &entry, &checkpoint, group);
        let _ = watch(end, watches, &checkpoint, group).await;
        assert_eq!(fs::read_to_string(group.unified.join("cgroup.kill")).unwrap(), "1");
        assert_eq!(checkpoint.limitation().unwrap(), Some(limitation("too much")));
    }

    #[tokio::test]
    async fn the_first_one_counts() {
        assert_eq!(first(vec![never(), will("a"), will("b")]).await, limitation("a"));
    }
}
