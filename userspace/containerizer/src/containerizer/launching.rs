//! From a specification to a running command.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Entry, State};
use super::{Inner, Launched, blocking, killing, supervision};
use crate::checkpoint::Container;
use crate::error::At as _;
use crate::helper::{Helper, kill};
use crate::isolator::{Draft, Places, Request, Subject};
use crate::launch::order::{Order, Report};
use crate::pid::boot_id;
use crate::{ContainerSpec, Error};

/// Launches, or removes what there is of the container already.
pub(super) async fn launch(
    inner: Arc<Inner>,
    entry: Arc<Entry>,
    spec: ContainerSpec,
) -> Result<Launched, Error> {
    let launched = bring_up(&inner, &entry, spec).await;
    if launched.is_err() {
        let removed = killing::remove(&inner, &entry, None).await;
        if let Err(error) = removed {
            // It can still be destroyed; the launch's own error is the one to be told.
            tracing::warn!(id = entry.id(), %error, "cannot remove what was not launched");
        }
        inner.containers().remove(entry.id());
        entry.set(State::Gone(None));
    }
    launched
}

async fn bring_up(
    inner: &Arc<Inner>,
    entry: &Arc<Entry>,
    spec: ContainerSpec,
) -> Result<Launched, Error> {
    let subject = {
        let inner = Arc::clone(inner);
        blocking(move || plan(&inner, &spec)).await?
    };
    entry.check()?;
    let subject = Arc::new(subject);
    let helper = {
        let (inner, entry, subject) = (Arc::clone(inner), Arc::clone(entry), Arc::clone(&subject));
        blocking(move || prepare(&inner, &entry, &subject)).await?
    };
    // The container needs no lifeline of ours: that is what the helper is for.
    let (pidfd, mut reports, _) = helper.detach()?;
    let report = tokio::select! {
        report = reports.next() => report,
        () = entry.cancelled() => Err(Error::Cancelled { id: entry.id().to_owned() }),
    };
    let report = match report {
        Ok(Report::Started(init)) => Ok(init),
        Ok(Report::Failed(error)) => Err(Error::from(error)),
        Ok(Report::Finished(_)) => Err(Error::Helper {
            helper: inner.config.helper.clone(),
            reason: "an answer to something else".into(),
        }),
        Err(error) => Err(error),
    };
    match report {
        Ok(init) => {
            entry.set(State::Running(Arc::clone(&subject)));
            supervision::supervise(inner, entry, &subject, pidfd);
            Ok(Launched { pid: init.pid })
        }
        Err(error) => {
            let helper = || inner.config.helper.clone();
            kill(&pidfd, rustix::process::Signal::KILL).at("kill", helper())?;
            crate::helper::ended(pidfd).await.at("wait for", helper())?;
            match inner.checkpoints.get(entry.id()).last_words() {
                Some(words) if matches!(error, Error::Helper { .. }) => {
                    Err(Error::Helper { helper: helper(), reason: words })
                }
                _ => Err(error),
            }
        }
    }
}

/// Decides everything, and makes sure that the image's layers are there. Of the container
/// nothing is made yet.
fn plan(inner: &Inner, spec: &ContainerSpec) -> Result<Subject, Error> {
    let image = match &spec.image {
        Some(reference) => {
            let secret = spec.image_config.as_ref();
            Some(inner.images.provision(reference, secret, spec.force_pull)?)
        }
        None => None,
    };
    let scratch = scratch(&spec.sandbox, &spec.id);
    let isolators = inner.isolators.names();
    let request = Request { spec, image: image.as_ref(), isolators: &isolators, scratch: &scratch };
    let mut draft = Draft::new(&request);
    inner.isolators.prepare(&request, &mut draft)?;
    let places = Places {
        checkpoint: inner.checkpoints.get(&spec.id).directory().to_owned(),
        group: inner.group(&spec.id),
    };
    let (plan, notes) = draft.finish(&request, places)?;
    Ok(Subject {
        id: spec.id.clone(),
        parent: None,
        isolators: isolators.into_iter().map(str::to_owned).collect(),
        notes,
        resources: spec.resources,
        plan,
    })
}

/// The container's own files, beside its sandbox: on the disk that is meant for such.
fn scratch(sandbox: &Path, id: &str) -> PathBuf {
    sandbox.parent().unwrap_or(sandbox).join(format!(".{id}.rootfs"))
}

/// Makes the container's cgroups and what its isolators have for it, and starts its helper.
/// The checkpoint comes first, so that all of it can be found after a crash.
fn prepare(inner: &Inner, entry: &Entry, subject: &Subject) -> Result<Helper, Error> {
    let container = Container { boot_id: boot_id()?, subject: subject.clone() };
    let checkpoint = inner.checkpoints.create(entry.id(), &container)?;
    subject.plan.group.create()?;
    inner.isolators.isolate(subject)?;
    entry.check()?;
    let mut helper = inner.program.start(Some(&checkpoint.log()))?;
    let order = Order::Run(Box::new(subject.plan.clone()));
    let commanded = checkpoint.write_helper(helper.id).and_then(|()| helper.command(&order));
    match commanded {
        Ok(()) => Ok(helper),
        Err(error) => {
            helper.abandon();
            Err(error)
        }
    }
}
