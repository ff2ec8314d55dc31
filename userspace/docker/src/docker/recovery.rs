//! Taking over the containers of an earlier run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as Status};
use muster_containerizer::Termination;

use super::entry::{Entry, State};
use super::{Inner, Recovered, name, place, supervision};
use crate::checkpoint::Row;
use crate::{Error, label};

/// Takes over every container that has a checkpoint, or that the engine has and that has not
/// ended.
pub(super) async fn recover(inner: &Arc<Inner>) -> Result<Vec<Recovered>, Error> {
    let mut wanted: BTreeMap<String, Option<PathBuf>> =
        inner.checkpoints.ids()?.into_iter().map(|id| (id, None)).collect();
    match inner.engine.list(&inner.config.agent).await {
        Ok(found) => wanted.extend(found.iter().filter_map(alive)),
        Err(Error::NoEngine { reason, .. }) if wanted.is_empty() => {
            tracing::info!(reason, "no Docker engine");
        }
        Err(error) => tracing::warn!(%error, "the containers' engine is waited for"),
    }
    let mut recovered = Vec::new();
    for (id, sandbox) in wanted {
        if inner.containers().contains_key(&id) {
            continue;
        }
        let Some(entry) = adopt(inner, &id, sandbox).await? else { continue };
        let termination = match entry.state() {
            State::Ended(how) => Some(how),
            _ => None,
        };
        let (addresses, pid) = match inner.engine.inspect(&name(&id)).await {
            Ok(found) => (place::addresses(&found), found.state.and_then(|state| state.pid)),
            Err(_) => (None, None),
        };
        let pid = pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0);
        recovered.push(Recovered { id, pid, addresses, termination });
    }
    Ok(recovered)
}

/// The id and the sandbox of a container that has not ended.
fn alive(container: &ContainerSummary) -> Option<(String, Option<PathBuf>)> {
    if matches!(container.state, Some(Status::EXITED | Status::DEAD | Status::REMOVING)) {
        return None;
    }
    let labels = container.labels.as_ref()?;
    Some((labels.get(label::CONTAINER)?.clone(), labels.get(label::SANDBOX).map(PathBuf::from)))
}

/// Takes over the container `id`; `None` if there is neither a checkpoint of it nor a sandbox
/// that is known from elsewhere.
pub(super) async fn adopt(
    inner: &Arc<Inner>,
    id: &str,
    sandbox: Option<PathBuf>,
) -> Result<Option<Arc<Entry>>, Error> {
    let row = match inner.checkpoints.read(id) {
        Ok(row) => row,
        Err(error @ Error::Checkpoint { .. }) => {
            let lost = Termination::Lost(error.to_string());
            return Ok(Some(insert(inner, Entry::new(id, State::Ended(lost))).1));
        }
        Err(error) => return Err(error),
    };
    let found = || sandbox.map(|sandbox| Row::new(sandbox, inner.config.logger));
    let Some(row) = row.or_else(found) else { return Ok(None) };
    let state = match inner.engine.inspect(&name(id)).await {
        Ok(found) => match supervision::termination(&found) {
            Some(lost @ Termination::Lost(_)) => State::Ended(lost),
            // How one that has ended did, is said when the rest of its output is there.
            _ => State::Running,
        },
        Err(error) if error.is_missing() => {
            let reason = "the agent stopped before it was started, or the engine lost it";
            State::Ended(Termination::Lost(reason.into()))
        }
        Err(_) => State::Running,
    };
    let (new, entry) = insert(inner, Entry::new(id, state));
    if new && entry.state() == State::Running {
        supervision::supervise(inner, &entry, row);
    }
    Ok(Some(entry))
}

/// Adds an entry, unless there is one by now.
fn insert(inner: &Inner, entry: Arc<Entry>) -> (bool, Arc<Entry>) {
    let mut containers = inner.containers();
    if let Some(known) = containers.get(entry.id()) {
        return (false, Arc::clone(known));
    }
    containers.insert(entry.id().to_owned(), Arc::clone(&entry));
    (true, entry)
}
