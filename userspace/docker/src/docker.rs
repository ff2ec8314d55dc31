//! The containerizer: its interface.

mod ending;
mod entry;
mod exec;
mod launching;
mod login;
mod logs;
mod place;
mod recovery;
mod sink;
mod supervision;
mod usage;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use muster_containerizer::{ExecStatus, Execution, Resources, Termination, Usage};

use crate::checkpoint::Checkpoints;
use crate::engine::Engine;
use crate::{Cgroups, Config, Container, Error, Slice, request};
use entry::{Entry, State};

/// Runs containers of an engine. Cheap to clone. The last clone's end ends no container.
///
/// Everything here works within a tokio runtime with I/O and time enabled.
#[derive(Clone)]
pub struct Docker {
    inner: Arc<Inner>,
}

/// A container whose command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// Its first process, as the engine numbers it; `None` if it has ended already.
    pub pid: Option<u32>,
    /// Its addresses in the networks it is connected to; `None` if it shares the engine's network.
    pub addresses: Option<Vec<IpAddr>>,
}

/// What an engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Where it puts the containers' cgroups.
    pub cgroups: Cgroups,
    /// What becomes of containers' output there, unless they say something else: `json-file`.
    pub log_driver: String,
}

/// A container of an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its id.
    pub id: String,
    /// Its first process, if it runs and the engine answers.
    pub pid: Option<u32>,
    /// As in [`Launched`]; `None` also if the engine does not answer.
    pub addresses: Option<Vec<IpAddr>>,
    /// How it ended; `None` if it runs, or [`Docker::wait`] is going to tell.
    pub termination: Option<Termination>,
}

struct Inner {
    config: Config,
    engine: Engine,
    checkpoints: Checkpoints,
    containers: Mutex<HashMap<String, Arc<Entry>>>,
}

impl Docker {
    /// Opens the runtime directory; asks nothing of the engine. Call [`Self::recover`] before
    /// anything else.
    ///
    /// # Errors
    /// When the runtime directory cannot be made.
    pub fn new(config: Config) -> Result<Self, Error> {
        let inner = Inner {
            engine: Engine { socket: config.socket.clone() },
            checkpoints: Checkpoints::open(&config.runtime_dir)?,
            containers: Mutex::default(),
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the engine, if it answers, says of itself.
    ///
    /// # Errors
    /// [`Error::NoEngine`] says why it does not.
    pub async fn about(&self) -> Result<About, Error> {
        let info = self.inner.engine.info().await?;
        let driver = info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default();
        let cgroups = Cgroups::by(&driver, &self.inner.config.agent);
        Ok(About { cgroups, log_driver: info.logging_driver.unwrap_or_default() })
    }

    /// Takes over the containers of earlier runs: running ones are watched from now on, ended
    /// ones have their termination. What was half made is reported as lost. All are to be
    /// destroyed in the end. Where the engine does not answer, those with a checkpoint are
    /// taken to run until it does.
    ///
    /// # Errors
    /// When the checkpoints cannot be read.
    pub async fn recover(&self) -> Result<Vec<Recovered>, Error> {
        recovery::recover(&self.inner).await
    }

    /// Launches a container of an engine that has said this `about` itself; returns when its
    /// command has been executed. If the caller goes away the launch goes on, and [`Self::destroy`] ends it.
    ///
    /// # Errors
    /// Says what the engine or the registry said. Nothing is left of the container then.
    pub async fn launch(&self, container: Container, about: About) -> Result<Launched, Error> {
        let entry = Entry::new(&container.id, State::Launching);
        match self.inner.containers().entry(container.id.clone()) {
            Slot::Occupied(_) => return Err(Error::Exists { id: container.id }),
            Slot::Vacant(vacant) => drop(vacant.insert(Arc::clone(&entry))),
        }
        detached(launching::launch(Arc::clone(&self.inner), entry, container, about)).await
    }

    /// Waits until a container has ended and all it wrote is in its sandbox.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown container, or one that could not be launched.
    pub async fn wait(&self, id: &str) -> Result<Termination, Error> {
        self.inner.known(id)?.ended().await
    }

    /// Ends a container: its image's stop signal (SIGTERM by default), and after `grace`
    /// SIGKILL. Returns when it has ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown container, or what the engine said.
    pub async fn kill(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let (inner, entry) = (Arc::clone(&self.inner), self.inner.known(id)?);
        detached(async move { ending::kill(&inner, &entry, grace).await }).await
    }

    /// Kills a container and forgets it; the engine keeps what ended for `remove_delay`. Does
    /// nothing for one that is not there.
    ///
    /// # Errors
    /// What the engine said; to be tried again.
    pub async fn destroy(&self, id: &str) -> Result<(), Error> {
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        detached(async move { ending::destroy(&inner, &id).await }).await
    }

    /// Removes every container of the agent from the engine at once.
    ///
    /// # Errors
    /// What the engine said. One that does not answer is an error only if there is a
    /// checkpoint of a container.
    pub async fn destroy_all(&self) -> Result<(), Error> {
        ending::destroy_all(&self.inner).await
    }

    /// Removes the agent's cgroup, and its slice, from every hierarchy, if they are empty: the
    /// engine, or systemd, makes them in all of them.
    ///
    /// # Errors
    /// A failed system call.
    pub fn remove_cgroups(&self) -> Result<(), Error> {
        let Config { agent, cgroups_root, .. } = &self.inner.config;
        let slice = Slice::of(agent);
        let slice = slice.iter().flat_map(|slice| slice.path().ancestors());
        let slice = slice.filter(|path| !path.as_os_str().is_empty());
        let groups: Vec<_> = [Path::new(cgroups_root)].into_iter().chain(slice).collect();
        ending::remove_cgroups(&groups)
    }

    /// Removes, for as long as it is polled, what is to be removed: containers that ended long
    /// enough ago, and those that came to be after their agent was killed.
    pub async fn collect_garbage(&self) {
        ending::collect_garbage(&self.inner).await;
    }

    /// Runs a command inside a running container. After `timeout` it is killed with what it
    /// started, as far as that has kept its variables.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run, or what the engine said. Variables
    /// with secret values are refused: the engine would show them.
    pub async fn exec(
        &self,
        id: &str,
        execution: Execution,
        timeout: Duration,
    ) -> Result<ExecStatus, Error> {
        exec::exec(&self.inner, id, execution, timeout).await
    }

    /// What a running container uses.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run, or what the engine said.
    pub async fn usage(&self, id: &str) -> Result<Usage, Error> {
        self.inner.running(id)?;
        let stats = self.inner.engine.stats(&name(id)).await?;
        let found = self.inner.engine.inspect(&name(id)).await?;
        let pid = found.state.and_then(|state| state.pid).filter(|&pid| pid > 0);
        // A few small files.
        let processes = match pid {
            Some(pid) => tokio::task::spawn_blocking(move || usage::processes(pid)).await,
            None => Ok(None),
        };
        let processes = processes.map_err(|_| Error::Interrupted)?;
        let limits = found.host_config.unwrap_or_default();
        Ok(Usage { processes, ..usage::of(&stats, &limits) })
    }

    /// Gives a running container other resources.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run, or what the engine said.
    pub async fn update(&self, id: &str, resources: Resources) -> Result<(), Error> {
        self.inner.running(id)?;
        let mut body = request::limits(&self.inner.config, &resources);
        if body.memory.is_none() {
            // It takes 0 for no change, and nothing for no limit.
            let reason = "the engine cannot take a memory limit away from what runs".to_owned();
            return Err(Error::Failed { action: "update", reason });
        }
        // What is not there is left as it is, and not without a limit as with a new one.
        body.cpu_quota.get_or_insert(-1);
        body.pids_limit.get_or_insert(-1);
        self.inner.engine.update(&name(id), body).await
    }

    /// What a container that is being launched waits for, in words: the pull of its image, or a file
    /// for its sandbox, and how far it is. `None` for any other.
    pub fn progress(&self, id: &str) -> Option<String> {
        self.inner.known(id).ok()?.progress()
    }

    /// Whether a container of that id is known.
    pub fn contains(&self, id: &str) -> bool {
        self.inner.containers().contains_key(id)
    }

    /// The network namespace of a running container; `None` if that is the engine's.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a container that does not run, or what the engine said.
    pub async fn network(&self, id: &str) -> Result<Option<OwnedFd>, Error> {
        exec::network(&self.inner, id).await
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

    fn running(&self, id: &str) -> Result<Arc<Entry>, Error> {
        let entry = self.known(id)?;
        match entry.state() {
            State::Running => Ok(entry),
            _ => Err(Error::NotRunning { id: id.to_owned() }),
        }
    }
}

/// What the engine calls the container `id`: as Mesos does.
fn name(id: &str) -> String {
    format!("mesos-{id}")
}

/// Runs `work` to its end even if the caller does not wait for that.
async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(|_| Error::Interrupted)?
}
