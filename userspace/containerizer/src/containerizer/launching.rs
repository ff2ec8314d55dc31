//! From a specification to a running command.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::entry::{Entry, State};
use super::{Inner, Launched, blocking, fetching, killing, supervision};
use crate::checkpoint::Container;
use crate::error::At as _;
use crate::helper::{Helper, kill};
use crate::image::{Digest, Lease};
use crate::isolator::{Draft, Places, Request, Subject};
use crate::launch::make_beneath;
use crate::launch::order::{Order, Report};
use crate::launch::plan::{Plan, Root};
use crate::pid::boot_id;
use crate::{Attachment, CommandSpec, ContainerSpec, Error, Kind, Logger, VolumeSource};

/// Where in a sandbox those of nested containers are.
const NESTED: &str = "containers";

/// Launches, or removes what there is of the container already.
pub(super) async fn launch(
    inner: Arc<Inner>,
    entry: Arc<Entry>,
    spec: ContainerSpec,
) -> Result<Launched, Error> {
    Ok(launch_with(inner, entry, spec, false).await?.0)
}

/// The same, attached to it before its command runs.
pub(super) async fn launch_attached(
    inner: Arc<Inner>,
    entry: Arc<Entry>,
    spec: ContainerSpec,
) -> Result<(Launched, Attachment), Error> {
    let id = entry.id().to_owned();
    match launch_with(inner, entry, spec, true).await? {
        (launched, Some(attachment)) => Ok((launched, attachment)),
        (_, None) => Err(Error::NotAttachable { id }),
    }
}

async fn launch_with(
    inner: Arc<Inner>,
    entry: Arc<Entry>,
    spec: ContainerSpec,
    attached: bool,
) -> Result<(Launched, Option<Attachment>), Error> {
    let launched = bring_up(&inner, &entry, spec, attached).await;
    if launched.is_err() {
        let removed = killing::remove(&inner, &entry, None).await;
        match removed {
            Ok(()) => inner.isolators.forget(entry.id()),
            // It can still be destroyed; the launch's own error is the one to be told.
            Err(error) => {
                tracing::warn!(id = entry.id(), %error, "cannot remove what was not launched");
            }
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
    attached: bool,
) -> Result<(Launched, Option<Attachment>), Error> {
    let (subject, helper) = start(inner, entry, spec, attached).await?;
    let (pidfd, mut reports) = helper.detach()?;
    let mut attachment = None;
    let report = loop {
        let report = tokio::select! {
            report = reports.next() => report,
            () = entry.cancelled() => Err(Error::Cancelled { id: entry.id().to_owned() }),
        };
        match report {
            Ok(Report::Listening) => {
                let checkpoint = inner.checkpoints.get(entry.id());
                match Attachment::connect(entry.id(), checkpoint.directory()) {
                    Ok(attached) => attachment = Some(attached),
                    Err(error) => break Err(error),
                }
            }
            Ok(Report::Started(init)) => break Ok(init),
            Ok(Report::Failed(error)) => break Err(Error::from(error)),
            Err(error) => break Err(error),
        }
    };
    match report {
        Ok(init) => {
            // Nobody has to do with its secrets any more.
            let subject = Arc::new(subject.without_secrets());
            entry.set(State::Running(Arc::clone(&subject)));
            supervision::supervise(inner, entry, &subject, pidfd, Some(reports));
            // If the one around it has ended meanwhile, it may not have been seen there.
            if !inner.is_held(entry.id()) {
                subject.plan.group.kill()?;
            }
            Ok((Launched { pid: init.pid }, attachment))
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

/// Plans the container, fetches what it wants, and starts its helper: without a change of
/// threads if there is nothing to fetch.
async fn start(
    inner: &Arc<Inner>,
    entry: &Arc<Entry>,
    spec: ContainerSpec,
    attached: bool,
) -> Result<(Arc<Subject>, Helper), Error> {
    let (of_plan, entry_of_plan) = (Arc::clone(inner), Arc::clone(entry));
    let (spec, subject, helper, lease) = blocking(move || {
        let (spec, mut subject, lease) = plan(&of_plan, spec)?;
        if let Some(io) = &mut subject.plan.io {
            io.first = attached;
        }
        entry_of_plan.check()?;
        let helper = if spec.uris.is_empty() {
            Some(prepare(&of_plan, &entry_of_plan, &subject)?)
        } else {
            None
        };
        Ok((spec, subject, helper, lease))
    })
    .await?;
    if let Some(helper) = helper {
        return Ok((Arc::new(subject), helper));
    }
    let subject = Arc::new(fetching::fetch(inner, entry, spec, subject).await?);
    entry.check()?;
    let (inner, entry, prepared) = (Arc::clone(inner), Arc::clone(entry), Arc::clone(&subject));
    let helper = blocking(move || prepare(&inner, &entry, &prepared)).await?;
    // From here on its checkpoint says what it uses.
    drop(lease);
    Ok((subject, helper))
}

/// Decides everything, and makes sure that the image's layers are there. Of the container
/// nothing is made yet; the lease keeps the layers until its checkpoint does.
fn plan(inner: &Inner, mut spec: ContainerSpec) -> Result<(ContainerSpec, Subject, Lease), Error> {
    let lease = inner.images.lease();
    let parent = spec.parent.as_ref().map(|parent| inner.running(parent)).transpose()?;
    let name = spec.name();
    let mut places = Places {
        checkpoint: inner.checkpoints.get(&name).directory().to_owned(),
        group: inner.group(&spec.id),
        around: None,
    };
    if let Some(parent) = &parent {
        let controllers = spec.own_cgroups.then_some(&inner.controllers);
        places.group = parent.plan.group.nested(&spec.id, controllers);
        places.around = inner.checkpoints.get(&parent.id).init()?;
        spec.sandbox = parent.plan.sandbox.join(NESTED).join(&spec.id);
        if spec.kind == Kind::Debug {
            let subject = debug(&spec, parent, places);
            return Ok((spec, subject, lease));
        }
    }
    let parent = parent.as_deref();
    let image = match &spec.image {
        Some(reference) => {
            let secret = spec.image_config.as_ref();
            Some(inner.images.provision(reference, secret, spec.force_pull, &lease)?)
        }
        None => None,
    };
    let mut isolators = inner.isolators.names();
    if !spec.has_cgroups() {
        isolators.retain(|name| !name.starts_with("cgroups/"));
    }
    let scratch = scratch(&spec, parent);
    let volumes = spec.volumes.iter().filter_map(|volume| match &volume.source {
        VolumeSource::Image(image) => Some(image),
        _ => None,
    });
    let volume_images = volumes
        .map(|image| {
            let secret = image.config.as_ref();
            inner.images.provision(&image.name, secret, image.force_pull, &lease)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let request = Request {
        spec: &spec,
        parent,
        image: image.as_ref(),
        volume_images: &volume_images,
        isolators: &isolators,
        scratch: &scratch,
    };
    let mut draft = Draft::new(&request);
    inner.isolators.prepare(&request, &mut draft)?;
    let (mut plan, notes) = draft.finish(&request, places)?;
    plan.logger = inner.config.logger.of(&spec.environment)?;
    let subject = Subject {
        id: name,
        parent: spec.parent.clone(),
        origin: spec.origin,
        isolators: isolators.into_iter().map(str::to_owned).collect(),
        notes,
        resources: spec.resources,
        plan,
    };
    Ok((spec, subject, lease))
}

/// A command in what another container has: no isolator has to do with it.
fn debug(spec: &ContainerSpec, parent: &Subject, places: Places) -> Subject {
    let around = &parent.plan;
    let mut process = around.process.clone();
    process.argv = spec.command.as_ref().map(CommandSpec::argv).unwrap_or_default();
    let secrets = spec.secrets.iter().map(|(name, secret)| (name, secret.reveal()));
    let given = spec.environment.iter().map(|(name, value)| (name, value.as_str())).chain(secrets);
    for (name, value) in given {
        process.environment.retain(|(known, _)| known != name);
        process.environment.push((name.clone(), value.to_owned()));
    }
    if let Some(user) = &spec.user {
        process.user.clone_from(user);
    }
    Subject {
        id: spec.name(),
        parent: spec.parent.clone(),
        origin: spec.origin,
        isolators: Vec::new(),
        notes: BTreeMap::new(),
        resources: spec.resources,
        plan: Plan {
            checkpoint: places.checkpoint,
            group: places.group,
            memory: false,
            around: places.around,
            namespaces: BTreeSet::new(),
            ids: around.ids,
            hostname: None,
            scratch: scratch(spec, Some(parent)),
            sandbox: spec.sandbox.clone(),
            io: spec.io(),
            sandbox_top: around.sandbox_top.clone(),
            root: Root::Parent { image: around.root.is_image() },
            mounts: Vec::new(),
            devices: Vec::new(),
            masked: Vec::new(),
            read_only: Vec::new(),
            owned: Vec::new(),
            logger: Logger::Sandbox,
            fetched: Vec::new(),
            process,
        },
    }
}

/// The container's own files, beside its sandbox or that of the outermost container around it:
/// on the disk that is meant for such, and where no container can reach them.
fn scratch(spec: &ContainerSpec, parent: Option<&Subject>) -> PathBuf {
    let top = parent.map_or(&spec.sandbox, |parent| &parent.plan.sandbox_top);
    let name = match parent {
        None => format!(".{}.rootfs", spec.id),
        // A name can be longer than a file's. No id begins with a plus sign.
        Some(_) => format!(".+{}.rootfs", Digest::of(spec.name().as_bytes()).hex()),
    };
    top.parent().unwrap_or(top).join(name)
}

/// Makes the container's cgroups and what its isolators have for it, and starts its helper.
/// The checkpoint comes first, so that all of it can be found after a crash.
fn prepare(inner: &Inner, entry: &Entry, subject: &Subject) -> Result<Helper, Error> {
    let container = Container { boot_id: boot_id()?, subject: subject.without_secrets() };
    let checkpoint = inner.checkpoints.create(entry.id(), &container)?;
    if let Some(parent) = &subject.parent {
        let plan = &subject.plan;
        let below = plan.sandbox.strip_prefix(&plan.sandbox_top).unwrap_or(&plan.sandbox);
        make_beneath(&plan.sandbox_top, below)?;
        if plan.group.has_limits() {
            inner.running(parent)?.plan.group.admit()?;
        }
    }
    subject.plan.group.create()?;
    inner.isolators.isolate(subject)?;
    entry.check()?;
    let mut helper = inner.program.start(Some(&checkpoint.log()))?;
    let order = Order(Box::new(subject.plan.clone()));
    let commanded = checkpoint.write_helper(helper.id).and_then(|()| helper.command(&order));
    match commanded {
        Ok(()) => Ok(helper),
        Err(error) => {
            helper.abandon();
            Err(error)
        }
    }
}
