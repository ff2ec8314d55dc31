//! Ending and removing containers.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rustix::process::Signal;

use super::asking::tell;
use super::entry::{Entry, State};
use super::{Inner, blocking, recovery};
use crate::error::At as _;
use crate::isolator::Subject;
use crate::launch::plan::{Plan, What};
use crate::launch::remove_beneath;
use crate::removal::remove_tree;
use crate::{Error, Origin};

/// How often, and how long apart, an empty cgroup is tried to be removed: exiting tasks
/// hold on to it a little longer than they count.
const REMOVALS: u32 = 200;
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// Ends a container, kindly at first. A pod has no command that could be asked: what is in it is.
pub(super) async fn kill(inner: &Inner, entry: &Entry, grace: Duration) -> Result<(), Error> {
    if let State::Launching = entry.state() {
        entry.cancel();
    }
    let State::Running(subject) = entry.settled().await else {
        return Ok(());
    };
    let group = &subject.plan.group;
    let kindly = async {
        if subject.plan.process.argv.is_empty() {
            kill_nested(inner, entry, grace).await?;
        }
        if let Some(init) = inner.checkpoints.get(entry.id()).init()?
            && let Some(deputies) = tell(&subject.plan, init, Signal::TERM)?
        {
            deputies.end().await?;
        }
        entry.ended().await
    };
    let ended = if let Ok(ended) = tokio::time::timeout(grace, kindly).await {
        ended
    } else {
        group.kill()?;
        entry.ended().await
    };
    match ended {
        // Destroyed meanwhile, which is at least as much.
        Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Ends all that is nested in a pod, side by side. Nothing more is launched in it.
fn kill_nested<'a>(
    inner: &'a Inner,
    entry: &'a Entry,
    grace: Duration,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
    Box::pin(async move {
        let names = inner.close(entry)?;
        let nested: Vec<Arc<Entry>> = {
            let known = inner.containers();
            names.iter().filter_map(|name| known.get(name).cloned()).collect()
        };
        let killed = nested.iter().map(|nested| kill(inner, nested, grace));
        join_all(killed).await.into_iter().collect()
    })
}

/// Sends a signal to a container that runs; gives up one that is being launched.
pub(super) fn signal(inner: &Inner, entry: &Entry, signal: Signal) -> Result<(), Error> {
    let subject = match entry.state() {
        State::Launching => {
            entry.cancel();
            return Ok(());
        }
        State::Running(subject) => subject,
        State::Ended(..) | State::Gone(_) => {
            return Err(Error::NotRunning { id: entry.id().to_owned() });
        }
    };
    if signal == Signal::KILL {
        return subject.plan.group.kill();
    }
    let Some(init) = inner.checkpoints.get(entry.id()).init()? else { return Ok(()) };
    if let Some(deputies) = tell(&subject.plan, init, signal)? {
        let id = entry.id().to_owned();
        tokio::spawn(async move {
            if let Err(error) = deputies.end().await {
                tracing::warn!(id, %error, "cannot end a first process after the others");
            }
        });
    }
    Ok(())
}

/// Removes a container that has ended, and its sandbox.
pub(super) async fn dispose(inner: &Arc<Inner>, id: &str) -> Result<(), Error> {
    let Ok(entry) = inner.known(id) else { return Ok(()) };
    let subject = match entry.state() {
        State::Launching | State::Running(_) => {
            return Err(Error::NotEnded { id: id.to_owned() });
        }
        State::Ended(subject, _) => subject,
        State::Gone(_) => None,
    };
    destroy(inner, id).await?;
    let Some(subject) = subject else { return Ok(()) };
    blocking(move || remove_sandbox(&subject.plan)).await
}

/// Removes a sandbox. Those around it may be at work in theirs: no link in them is followed.
fn remove_sandbox(plan: &Plan) -> Result<(), Error> {
    let below = plan.sandbox.strip_prefix(&plan.sandbox_top).unwrap_or(&plan.sandbox);
    if below.as_os_str().is_empty() {
        return remove_tree(&plan.sandbox).at("remove", &plan.sandbox);
    }
    Ok(remove_beneath(&plan.sandbox_top, below)?)
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
    for nested in inner.close(&entry)? {
        Box::pin(destroy(inner, &nested)).await?;
    }
    if let State::Launching = entry.state() {
        entry.cancel();
    }
    let (subject, termination) = match entry.settled().await {
        State::Running(subject) => {
            subject.plan.group.kill()?;
            (Some(subject), entry.ended().await?)
        }
        State::Ended(subject, termination) => (subject, termination),
        State::Launching | State::Gone(_) => return Ok(()),
    };
    let _one_at_a_time = entry.change.lock().await;
    if let State::Gone(_) = entry.state() {
        return Ok(());
    }
    remove(inner, &entry, subject).await?;
    inner.containers().remove(id);
    entry.set(State::Gone(Some(termination)));
    Ok(())
}

/// Removes what belongs to a container none of whose helpers lives: first what the
/// checkpoint tells of, at last the checkpoint.
pub(super) async fn remove(
    inner: &Arc<Inner>,
    entry: &Entry,
    subject: Option<Arc<Subject>>,
) -> Result<(), Error> {
    let checkpoint = inner.checkpoints.get(entry.id());
    let subject = match subject {
        Some(subject) => Some(subject),
        None => match checkpoint.container() {
            Ok(container) => container.map(|container| Arc::new(container.subject)),
            // There is no telling; it has been reported on recovery.
            Err(Error::Checkpoint { .. }) => None,
            Err(error) => return Err(error),
        },
    };
    let group = match &subject {
        Some(subject) => subject.plan.group.clone(),
        None => inner.any_group(entry.id()),
    };
    group.clear().await?;
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
    let mut end = entry.helper();
    if subject.as_ref().is_none_or(|subject| outlives(subject))
        && let Some(end) = end.take()
    {
        // That it cannot be waited for stops nobody: it has nothing to do but to end.
        let _ = end.await;
    }
    let (shared, id) = (Arc::clone(inner), entry.id().to_owned());
    let removed = blocking(move || {
        if let Some(subject) = subject {
            shared.isolators.cleanup(&subject)?;
            if subject.origin == Origin::Execution
                && let Err(error) = remove_sandbox(&subject.plan)
            {
                // The container around it may have put a link in the way. What is left goes
                // with that one's sandbox.
                tracing::warn!(id, %error, "cannot remove the sandbox of a command");
            }
        }
        shared.checkpoints.remove(&id)
    })
    .await;
    if let Some(end) = end {
        inner.ending.add(end).await;
    }
    removed
}

/// Whether something that outlives the container, or that is counted, is mounted in it, so
/// that it has to be free when the container is removed. What else is mounted there is its own
/// alone, and not seen by anybody any more.
fn outlives(subject: &Subject) -> bool {
    let kinds = ["disk/", "external/"];
    subject.isolators.iter().any(|name| kinds.iter().any(|kind| name.starts_with(kind)))
        || subject.plan.mounts.iter().any(|mount| match &mount.what {
            What::Host { path, recursive, .. } => *recursive && *path != subject.plan.sandbox_top,
            What::Parent(_) => true,
            What::Layers { .. } | What::New { .. } | What::Secret(_) | What::Link(_) => false,
        })
}
