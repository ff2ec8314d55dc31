//! Ending and removing containers.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerStateStatusEnum as Status, ContainerSummary};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::entry::{Entry, State};
use super::{Inner, name, recovery};
use crate::{Error, label};

/// How often what is to be removed is looked for, unless ended containers go at once.
const ROUND: Duration = Duration::from_mins(1);

/// Ends a container, kindly at first.
pub(super) async fn kill(inner: &Inner, entry: &Entry, grace: Duration) -> Result<(), Error> {
    entry.cancel();
    if entry.settled().await != State::Running {
        return Ok(());
    }
    let name = name(entry.id());
    let kindly = async {
        let config = inner.engine.inspect(&name).await?.config.unwrap_or_default();
        let signal = config.stop_signal.filter(|signal| !signal.is_empty());
        inner.engine.kill(&name, signal.as_deref().unwrap_or("SIGTERM")).await?;
        entry.ended().await
    };
    let ended = if let Ok(ended) = tokio::time::timeout(grace, kindly).await {
        ended
    } else {
        inner.engine.kill(&name, "SIGKILL").await?;
        entry.ended().await
    };
    match ended {
        Err(error) if !matches!(error, Error::NotFound { .. }) && !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}

/// Kills and forgets a container.
pub(super) async fn destroy(inner: &Arc<Inner>, id: &str) -> Result<(), Error> {
    let known = inner.containers().get(id).cloned();
    let entry = match known {
        Some(entry) => entry,
        // Of an earlier run, and not taken over yet.
        None => match recovery::adopt(inner, id, None).await? {
            Some(entry) => entry,
            None => return Ok(()),
        },
    };
    entry.cancel();
    let settled = entry.settled().await;
    let _one_at_a_time = entry.change.lock().await;
    match settled {
        State::Running => {
            inner.engine.kill(&name(id), "SIGKILL").await?;
            entry.ended().await?;
        }
        State::Ended(_) if entry.state() != State::Gone => {}
        _ => return Ok(()),
    }
    if inner.config.remove_delay.is_zero() {
        inner.engine.remove(&name(id)).await?;
    } else if let Err(error) = inner.engine.inspect(&name(id)).await
        && !error.is_missing()
    {
        // One that has not ended would be found by nobody.
        return Err(error);
    }
    inner.checkpoints.remove(id)?;
    inner.containers().remove(id);
    entry.set(State::Gone);
    Ok(())
}

pub(super) async fn destroy_all(inner: &Arc<Inner>) -> Result<(), Error> {
    let found = match inner.engine.list(&inner.config.agent).await {
        Ok(found) => found,
        Err(Error::NoEngine { .. }) if inner.checkpoints.ids()?.is_empty() => Vec::new(),
        Err(error) => return Err(error),
    };
    for container in found {
        if let Some(id) = container.id {
            inner.engine.remove(&id).await?;
        }
    }
    for id in inner.checkpoints.ids()? {
        inner.checkpoints.remove(&id)?;
    }
    Ok(())
}

/// Removes cgroups from every hierarchy, those below first.
pub(super) fn remove_cgroups(groups: &[&Path]) -> Result<(), Error> {
    let path = "/proc/thread-self/mountinfo";
    let mounts = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    for mount in mounts.lines() {
        let Some((mount, filesystem)) = mount.split_once(" - ") else { continue };
        let Some(tree) = mount.split(' ').nth(4).filter(|_| filesystem.starts_with("cgroup"))
        else {
            continue;
        };
        for group in groups.iter().map(|group| Path::new(tree).join(group)) {
            match std::fs::remove_dir(&group) {
                // Other containers' groups are below it.
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io("remove", group)(error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

pub(super) async fn collect_garbage(inner: &Inner) {
    let delay = inner.config.remove_delay;
    let round = if delay.is_zero() { ROUND } else { delay.min(ROUND) };
    loop {
        match inner.engine.list(&inner.config.agent).await {
            Ok(found) => {
                for container in found {
                    if let Err(error) = collect(inner, &container).await {
                        tracing::warn!(container = container.id, %error, "cannot remove");
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "no containers to remove"),
        }
        tokio::time::sleep(round.max(Duration::from_millis(100))).await;
    }
}

/// Removes a container that nobody waits for, if it is time.
async fn collect(inner: &Inner, container: &ContainerSummary) -> Result<(), Error> {
    let labels = container.labels.as_ref();
    let (Some(name), Some(id)) =
        (&container.id, labels.and_then(|labels| labels.get(label::CONTAINER)))
    else {
        return Ok(());
    };
    // Whatever is made from now on was in the table before the engine knew of it.
    if inner.containers().contains_key(id) || inner.checkpoints.read(id)?.is_some() {
        return Ok(());
    }
    let found = match inner.engine.inspect(name).await {
        Err(error) if error.is_missing() => return Ok(()),
        found => found?.state.unwrap_or_default(),
    };
    if found.status == Some(Status::EXITED) {
        let ended = found.finished_at.as_deref().unwrap_or_default();
        let ended = OffsetDateTime::parse(ended, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        if OffsetDateTime::now_utc() - ended < inner.config.remove_delay {
            return Ok(());
        }
    } else {
        tracing::warn!(container = id, "removing a container that belongs to no task");
    }
    inner.engine.remove(name).await
}
