//! From a specification to a running command.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Container as Running, Entry, State};
use super::{Inner, Launched, blocking, killing, supervision};
use crate::checkpoint::Container;
use crate::error::At as _;
use crate::helper::{Helper, kill};
use crate::isolator::Limits;
use crate::launch::order::{Order, Plan, Report, Root};
use crate::pid::boot_id;
use crate::process::Process;
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
    let (plan, limits) = {
        let inner = Arc::clone(inner);
        blocking(move || plan(&inner, &spec)).await?
    };
    entry.check()?;
    let (helper, container) = {
        let (inner, entry) = (Arc::clone(inner), Arc::clone(entry));
        blocking(move || {
            let helper = prepare(&inner, &entry, &plan, limits)?;
            Ok((helper, Arc::new(Running { plan })))
        })
        .await?
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
            entry.set(State::Running(Arc::clone(&container)));
            supervision::supervise(inner, entry, &container, pidfd);
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
fn plan(inner: &Inner, spec: &ContainerSpec) -> Result<(Plan, Limits), Error> {
    let image = match &spec.image {
        Some(reference) => Some(inner.images.provision(reference)?),
        None => None,
    };
    let process = Process::resolve(spec, image.as_ref().map(|image| &image.config))?;
    let plan = Plan {
        checkpoint: inner.checkpoints.get(&spec.id).directory().to_owned(),
        group: inner.group(&spec.id),
        root: image.map_or(Root::Host, |image| Root::Layers(image.layers)),
        scratch: scratch(&spec.sandbox, &spec.id),
        sandbox: spec.sandbox.clone(),
        hostname: spec.hostname.clone(),
        process,
    };
    Ok((plan, Limits { cpus_milli: spec.cpus_milli, mem_bytes: spec.mem_bytes }))
}

/// The container's own files, beside its sandbox: on the disk that is meant for such.
fn scratch(sandbox: &Path, id: &str) -> PathBuf {
    sandbox.parent().unwrap_or(sandbox).join(format!(".{id}.rootfs"))
}

/// Makes the container's directories and cgroups, and starts its helper. The checkpoint
/// comes first, so that all of it can be found after a crash.
fn prepare(inner: &Inner, entry: &Entry, plan: &Plan, limits: Limits) -> Result<Helper, Error> {
    let container = Container { boot_id: boot_id()?, plan: plan.clone() };
    let checkpoint = inner.checkpoints.create(entry.id(), &container)?;
    make_scratch(plan)?;
    plan.group.create()?;
    let group = inner.group_name(entry.id());
    for isolator in &inner.isolators {
        isolator.prepare(&group, limits)?;
    }
    entry.check()?;
    let mut helper = inner.program.start(Some(&checkpoint.log()))?;
    let commanded =
        checkpoint.write_helper(helper.id).and_then(|()| helper.command(&Order::Run(plan.clone())));
    match commanded {
        Ok(()) => Ok(helper),
        Err(error) => {
            helper.abandon();
            Err(error)
        }
    }
}

fn make_scratch(plan: &Plan) -> Result<(), Error> {
    let make = |path: &Path| fs::DirBuilder::new().mode(0o755).create(path).at("mkdir", path);
    // Closed to others: set-user-ID files of an image are not for the host's users.
    fs::DirBuilder::new().mode(0o700).create(&plan.scratch).at("mkdir", &plan.scratch)?;
    let Root::Layers(layers) = &plan.root else {
        return Ok(());
    };
    for name in ["upper", "work", "root"] {
        make(&plan.scratch.join(name))?;
    }
    // The uppermost directory's owner and mode are those of `/`.
    if let Some(top) = layers.first() {
        let found = fs::metadata(top).at("stat", top)?;
        let upper = plan.scratch.join("upper");
        chown(&upper, Some(found.uid()), Some(found.gid())).at("chown", &upper)?;
        let mode = fs::Permissions::from_mode(found.mode() & 0o7777);
        fs::set_permissions(&upper, mode).at("chmod", &upper)?;
    }
    Ok(())
}
