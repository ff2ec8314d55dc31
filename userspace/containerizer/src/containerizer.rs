//! The containerizer: its interface.

mod asking;
mod ending;
mod entry;
mod executing;
mod fetching;
mod images;
mod killing;
mod launching;
mod machine;
mod network;
mod recovery;
mod supervision;
mod tree;

use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::cgroup::{Controller, Group, Hierarchies, group_name};
use crate::checkpoint::Checkpoints;
use crate::fetcher::Files;
use crate::helper::Program;
use crate::image::Store;
use crate::isolator::{Isolators, Subject};
use crate::{
    Attachment, Config, ContainerSpec, Error, ExecStatus, Execution, Origin, Resources, Status,
    Termination, Usage,
};
use ending::Ending;
use entry::{Entry, State};

/// Runs containers. Cheap to clone. The last clone's end ends no container.
///
/// A container is named by its id; one that is nested in another by [`crate::nested_id`]. It
/// ends with that one.
///
/// Everything here works within a tokio runtime with I/O and time enabled.
#[derive(Clone)]
pub struct Containerizer {
    inner: Arc<Inner>,
}

/// A container whose command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// Its first process, in the pid namespace of the containerizer.
    pub pid: u32,
}

/// A container found in the checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its name: its id, or after that of its parent and a `/` if it is nested (see
    /// [`crate::split_id`]).
    pub id: String,
    /// Its first process, if one was recorded.
    pub pid: Option<u32>,
    /// How it ended; `None` if it runs, or is about to.
    pub termination: Option<Termination>,
    /// Who it is there for.
    pub origin: Origin,
}

struct Inner {
    config: Config,
    hierarchies: Hierarchies,
    isolators: Isolators,
    /// Those that containers are put under.
    controllers: BTreeSet<Controller>,
    images: Store,
    files: Files,
    checkpoints: Checkpoints,
    program: Program,
    containers: Mutex<HashMap<String, Arc<Entry>>>,
    /// Helpers of those that have been removed.
    ending: Ending,
    /// Whether the isolators know of the containers of earlier runs.
    told: tokio::sync::OnceCell<()>,
    /// Held while a container of an earlier run is taken over.
    adoption: tokio::sync::Mutex<()>,
}

impl Containerizer {
    /// Checks that the machine has what containers need and opens the runtime directory.
    /// Call [`Self::recover`] before anything else.
    ///
    /// # Errors
    /// [`Error::Unsupported`] says what is missing and how to get it, [`Error::Config`]
    /// which field is wrong, [`Error::InUse`] that another agent has the runtime directory.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        machine::check()?;
        let hierarchies = Hierarchies::detect()?;
        let isolators = Isolators::new(&config.isolation, &hierarchies)?;
        let controllers = isolators.controllers();
        hierarchies.prepare(&config.cgroups_root, &controllers)?;
        tracing::info!(isolation = isolators.names().join(","), "containerizer");
        let inner = Inner {
            // First: it waits for an earlier agent that is ending.
            checkpoints: Checkpoints::open(&config.runtime_dir)?,
            images: Store::new(
                config.image_dir.clone(),
                &config.runtime_dir,
                config.registries.clone(),
                config.image_limits,
                config.isolation.image_backends.clone(),
            )?,
            files: Files::new(config.fetching.clone(), config.registries.certificates.clone())?,
            program: Program::new(&config.helper)?,
            hierarchies,
            isolators,
            controllers,
            containers: Mutex::default(),
            ending: Ending::default(),
            told: tokio::sync::OnceCell::new(),
            adoption: tokio::sync::Mutex::default(),
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes over every container with a checkpoint that is not known yet: running ones are
    /// watched from now on, ended ones have their termination. What was half made by an
    /// agent that was killed is killed, and reported as [`Termination::Lost`]. All are to be
    /// destroyed in the end.
    ///
    /// # Errors
    /// When the checkpoints cannot be read, or a remainder not be killed.
    pub async fn recover(&self) -> Result<Vec<Recovered>, Error> {
        recovery::recover(&self.inner).await
    }

    /// Launches a container; returns when its command has been executed. If the caller goes
    /// away the launch goes on, and [`Self::destroy`] ends it.
    ///
    /// # Errors
    /// Says which field, image, or step of the set-up is at fault. Nothing is left of the
    /// container then, and its id is free.
    pub async fn launch(&self, spec: ContainerSpec) -> Result<Launched, Error> {
        spec.validate()?;
        let entry = self.inner.enlist(&spec)?;
        let inner = Arc::clone(&self.inner);
        detached(launching::launch(inner, entry, spec)).await
    }

    /// Launches a container with `attach` or `tty`, and attaches to it before its command runs:
    /// nothing that it writes is missed.
    ///
    /// # Errors
    /// As for [`Self::launch`].
    pub async fn launch_attached(
        &self,
        spec: ContainerSpec,
    ) -> Result<(Launched, Attachment), Error> {
        spec.validate()?;
        if spec.io().is_none() {
            return Err(Error::NotAttachable { id: spec.name() });
        }
        let entry = self.inner.enlist(&spec)?;
        let inner = Arc::clone(&self.inner);
        detached(launching::launch_attached(inner, entry, spec)).await
    }

    /// Attaches to a running container's streams, whoever launched it.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run, [`Error::NotAttachable`] for one
    /// that was launched without `attach` and `tty`.
    pub fn attach(&self, id: &str) -> Result<Attachment, Error> {
        self.inner.running(id)?;
        Attachment::connect(id, self.inner.checkpoints.get(id).directory())
    }

    /// Waits until a container has ended. Any number may wait, at any time until it is
    /// destroyed.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown container, or one that could not be launched.
    pub async fn wait(&self, id: &str) -> Result<Termination, Error> {
        self.inner.known(id)?.ended().await
    }

    /// Ends a container: SIGTERM to its command, and after `grace` SIGKILL to all of it.
    /// Returns when it has ended. A command that neither catches nor ignores SIGTERM would, as
    /// process 1, not notice it: its children get the signal instead, and when they have ended
    /// it is killed, with SIGKILL.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown container, or a failed system call.
    pub async fn kill(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let (inner, entry) = (Arc::clone(&self.inner), self.inner.known(id)?);
        detached(async move { killing::kill(&inner, &entry, grace).await }).await
    }

    /// Sends a signal to a container's first process, and does not wait for what comes of it;
    /// SIGKILL is for all of the container. If the first process is one that Linux spares, the
    /// others get it (see [`Self::kill`]). One that is being launched is given up.
    ///
    /// # Errors
    /// [`Error::Spec`] for what is no signal of Linux, [`Error::NotFound`],
    /// [`Error::NotRunning`], or a failed system call.
    pub fn signal(&self, id: &str, signal: i32) -> Result<(), Error> {
        let known = rustix::process::Signal::from_named_raw(signal);
        let known = known.ok_or_else(|| Error::Spec {
            field: "signal",
            reason: format!("{signal} is none of Linux' signals, 1 to 31"),
        })?;
        killing::signal(&self.inner, &*self.inner.known(id)?, known)
    }

    /// The names of the containers that run, with who they are there for.
    pub fn containers(&self) -> Vec<(String, Origin)> {
        let containers = self.inner.containers();
        let running = containers.values().filter_map(|entry| match entry.state() {
            State::Running(subject) => Some((entry.id().to_owned(), subject.origin)),
            _ => None,
        });
        running.collect()
    }

    /// Whether the name `id` is a container's, launched, running or ended.
    pub fn knows(&self, id: &str) -> bool {
        self.inner.containers().contains_key(id) || self.inner.checkpoints.get(id).exists()
    }

    /// Removes a container that has ended: with its sandbox, and all that was nested in it.
    /// Does nothing for one that is not there.
    ///
    /// # Errors
    /// [`Error::NotEnded`], or a failed system call; to be tried again.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        let id = id.to_owned();
        detached(async move { killing::dispose(&inner, &id).await }).await
    }

    /// Kills a container and removes all that belongs to it but its sandbox: first those that
    /// are nested in it. Does nothing for one that is not there.
    ///
    /// # Errors
    /// A failed system call; to be tried again.
    pub async fn destroy(&self, id: &str) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        let id = id.to_owned();
        detached(async move { killing::destroy(&inner, &id).await }).await
    }

    /// Destroys every container, those of earlier runs too, and removes the cgroups above
    /// them: what is left is as if this containerizer had never been.
    ///
    /// # Errors
    /// The first failure; the rest is destroyed nevertheless.
    pub async fn destroy_all(&self) -> Result<(), Error> {
        let mut result = self.recover().await.map(drop);
        let ids: Vec<String> = self.inner.containers().keys().cloned().collect();
        for id in ids {
            result = result.and(self.destroy(&id).await);
        }
        self.inner.ending.all().await;
        result?;
        self.inner.hierarchies.remove(&self.inner.config.cgroups_root)
    }

    /// Runs a command inside a running container, as a nested one of [`Kind::Debug`](crate::Kind):
    /// with its files, processes, limits and working directory, its variables and its user unless
    /// others are given. When it has ended, or after `timeout`, or when the caller goes away,
    /// whatever it started is killed, and nothing is left of it. What it writes is dropped.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run, [`Error::Setup`] when the
    /// command cannot be started, [`Error::Lost`] when nobody knows how it ended.
    pub async fn exec(
        &self,
        id: &str,
        execution: impl Into<Execution>,
        timeout: Duration,
    ) -> Result<ExecStatus, Error> {
        executing::exec(&self.inner, id, execution.into(), timeout).await
    }

    /// What a running container uses.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run.
    pub fn usage(&self, id: &str) -> Result<Usage, Error> {
        let subject = self.inner.running(id)?;
        Ok(self.inner.isolators.usage(&subject))
    }

    /// Where a running container is.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run.
    pub fn status(&self, id: &str) -> Result<Status, Error> {
        let subject = self.inner.running(id)?;
        Ok(self.inner.isolators.status(&subject))
    }

    /// The network namespace of a running container: that of its first process. `None` if it is
    /// the containerizer's own.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run.
    pub fn network(&self, id: &str) -> Result<Option<OwnedFd>, Error> {
        self.inner.running(id)?;
        let init = self.inner.checkpoints.get(id).init()?;
        network::of(id, init)
    }

    /// Gives a running container other resources.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run, or a failed system call: then
    /// some are the new ones. What was asked for last is what a later run sees to.
    pub async fn update(&self, id: &str, resources: Resources) -> Result<(), Error> {
        resources.validate()?;
        let (inner, entry) = (Arc::clone(&self.inner), self.inner.known(id)?);
        detached(async move {
            let _one_at_a_time = entry.change.lock().await;
            let State::Running(subject) = entry.state() else {
                return Err(Error::NotRunning { id: entry.id().to_owned() });
            };
            blocking(move || {
                inner.checkpoints.get(&subject.id).write_resources(&resources)?;
                inner.isolators.update(&subject, &resources)
            })
            .await
        })
        .await
    }
}

impl Inner {
    fn containers(&self) -> MutexGuard<'_, HashMap<String, Arc<Entry>>> {
        // Nothing is ever half done under this lock.
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, id: &str) -> Result<Arc<Entry>, Error> {
        let known = self.containers().get(id).cloned();
        known.ok_or_else(|| Error::NotFound { id: id.to_owned() })
    }

    fn running(&self, id: &str) -> Result<Arc<Subject>, Error> {
        match self.known(id)?.state() {
            State::Running(subject) => Ok(subject),
            _ => Err(Error::NotRunning { id: id.to_owned() }),
        }
    }

    /// The cgroups of a new container that is in no other.
    fn group(&self, id: &str) -> Group {
        let name = group_name(&self.config.cgroups_root, id);
        Group::new(&self.hierarchies, &name, &self.controllers)
    }

    /// The cgroups that a container of an earlier run may have.
    fn any_group(&self, id: &str) -> Group {
        let name = group_name(&self.config.cgroups_root, id);
        Group::new(&self.hierarchies, &name, &self.hierarchies.controllers())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for entry in self.containers().values() {
            entry.forget();
        }
    }
}

/// Runs `work` to its end even if the caller does not wait for that.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(|_| Error::Interrupted)?
}

/// Runs what blocks where that does no harm.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?
}
