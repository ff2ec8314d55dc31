//! Ending and removing containers.

use std::sync::Arc;
use std::time::Duration;

use super::asking::ask;
use super::entry::{Entry, State};
use super::{Inner, blocking, recovery};
use crate::Error;
use crate::isolator::Subject;

/// How often, and how long apart, an empty cgroup is tried to be removed: exiting tasks
/// hold on to it a little longer than they count.
const REMOVALS: u32 = 200;
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// Ends a container, kindly at first.
pub(super) async fn kill(inner: &Inner, entry: &Entry, grace: Duration) -> Result<(), Error> {
    if let State::Launching = entry.state() {
        entry.cancel();
    }
    let State::Running(subject) = entry.settled().await else {
        return Ok(());
    };
    let group = &subject.plan.group;
    let kindly = async {
        if let Some(init) = inner.checkpoints.get(entry.id()).init()? {
            ask(&subject.plan, init).await?;
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
    let (inner, id) = (Arc::clone(inner), entry.id().to_owned());
    blocking(move || {
        if let Some(subject) = subject {
            inner.isolators.cleanup(&subject)?;
        }
        inner.checkpoints.remove(&id)
    })
    .await
}
