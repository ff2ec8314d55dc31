//! Taking over the containers of an earlier run.

use std::sync::Arc;

use super::entry::{Entry, State};
use super::supervision::{settle, supervise};
use super::{Inner, Recovered, blocking};
use crate::checkpoint::Checkpoint;
use crate::isolator::Subject;
use crate::pid::boot_id;
use crate::{Error, Termination};

/// Takes over every container that is on disk and not known.
pub(super) async fn recover(inner: &Arc<Inner>) -> Result<Vec<Recovered>, Error> {
    let mut recovered = Vec::new();
    for id in inner.checkpoints.names()? {
        if inner.containers().contains_key(&id) {
            continue;
        }
        let Some(entry) = adopt(inner, &id).await? else { continue };
        let (subject, termination) = match entry.state() {
            State::Ended(subject, termination) => (subject, Some(termination)),
            State::Running(subject) => (Some(subject), None),
            State::Launching | State::Gone(_) => (None, None),
        };
        let origin = subject.map(|subject| subject.origin).unwrap_or_default();
        // One that cannot be read has been reported as such with its termination.
        let init = inner.checkpoints.get(&id).init().unwrap_or_default();
        recovered.push(Recovered { id, pid: init.map(|init| init.pid), termination, origin });
    }
    tell_isolators(inner).await?;
    Ok(recovered)
}

/// Tells the isolators, once, which containers there are.
async fn tell_isolators(inner: &Arc<Inner>) -> Result<(), Error> {
    let known: Vec<_> = inner
        .containers()
        .values()
        .filter_map(|entry| match entry.state() {
            State::Running(subject) | State::Ended(Some(subject), _) => Some(subject),
            State::Ended(None, _) | State::Launching | State::Gone(_) => None,
        })
        .collect();
    let told = inner.told.get_or_try_init(|| {
        let inner = Arc::clone(inner);
        blocking(move || inner.isolators.recover(&known))
    });
    told.await.copied()
}

/// Takes over the container `id`; `None` if there is no checkpoint of it.
pub(super) async fn adopt(inner: &Arc<Inner>, id: &str) -> Result<Option<Arc<Entry>>, Error> {
    if !crate::id::valid_name(id) {
        return Ok(None);
    }
    // Each is taken over once, whoever asks for it.
    let _one_at_a_time = inner.adoption.lock().await;
    if let Some(known) = inner.containers().get(id) {
        return Ok(Some(Arc::clone(known)));
    }
    let checkpoint = inner.checkpoints.get(id);
    let found = match checkpoint.container() {
        Ok(None) => return Ok(None),
        Ok(Some(found)) => found,
        Err(error @ Error::Checkpoint { .. }) => {
            let group = inner.any_group(id);
            group.clear().await?;
            let lost = Termination::Lost(error.to_string());
            return Ok(Some(insert(inner, Entry::new(id, State::Ended(None, lost)))));
        }
        Err(error) => return Err(error),
    };
    let same_boot = found.boot_id == boot_id()?;
    let subject = Arc::new(found.subject);
    let helper = match checkpoint.helper() {
        _ if !same_boot => None,
        Ok(helper) => helper,
        Err(Error::Checkpoint { .. }) => None,
        Err(error) => return Err(error),
    };
    let reason = match helper {
        None if !same_boot => "the machine was restarted",
        None => "the agent stopped before it was started",
        Some(helper) => {
            // With the outcome written a helper has nothing left to do but to exit.
            if checkpoint.outcome().is_ok_and(|outcome| outcome.is_none())
                && let Some(pidfd) = helper.open()?
            {
                update(inner, &checkpoint, &subject).await?;
                let entry = insert(inner, Entry::new(id, State::Running(Arc::clone(&subject))));
                supervise(inner, &entry, &subject, pidfd, None);
                return Ok(Some(entry));
            }
            "its launch helper was killed"
        }
    };
    let termination = settle(&checkpoint, &subject.plan.group, reason).await?;
    Ok(Some(insert(inner, Entry::new(id, State::Ended(Some(subject), termination)))))
}

/// Gives a container the resources that it was going to be given last.
async fn update(
    inner: &Arc<Inner>,
    checkpoint: &Checkpoint,
    subject: &Arc<Subject>,
) -> Result<(), Error> {
    let Some(resources) = checkpoint.resources()? else { return Ok(()) };
    let (inner, subject) = (Arc::clone(inner), Arc::clone(subject));
    blocking(move || inner.isolators.update(&subject, &resources)).await
}

/// Adds an entry, unless there is one by now.
fn insert(inner: &Inner, entry: Arc<Entry>) -> Arc<Entry> {
    let mut containers = inner.containers();
    Arc::clone(containers.entry(entry.id().to_owned()).or_insert(entry))
}
