//! Both containerizers as one: whoever launched a container is asked about it.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use muster_containerizer::{
    Containerizer, ExecStatus, Execution, FetchingUri, Origin, Pulling, Resources, Status,
    Termination, Usage,
};
use muster_dataplane::{DataPlane, cgroup2_mount};
use muster_docker::{Cgroups, Docker};

use crate::{Config, Error, Found, Workload};

/// What runs containers on this machine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Containers {
    own: Containerizer,
    /// Only where `--containerizers` has it.
    docker: Option<Docker>,
    /// The VIPs that containers of the engine have; none before there are any.
    vips: Option<Arc<Mutex<DataPlane>>>,
}

/// A container whose command runs.
pub(crate) struct Launched {
    /// Its first process; 0 if that has ended already.
    pub(crate) pid: u32,
    /// Its own addresses; `None` if it shares the machine's network.
    pub(crate) addresses: Option<Vec<IpAddr>>,
}

impl Containers {
    /// Names the field that no containers can be had with, before anything is made.
    pub(crate) fn check(config: &Config) -> Result<(), Error> {
        Ok(own(config).validate()?)
    }

    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let own = Containerizer::new(own(config))?;
        let docker = config.containerizers.docker.then(|| {
            Docker::new(muster_docker::Config {
                agent: config.name.clone(),
                socket: config.containerizers.socket.clone(),
                runtime_dir: config.runtime_dir.clone(),
                cgroups_root: config.cgroups_root.clone(),
                remove_delay: config.containerizers.remove_delay,
                cfs_quota: config.isolation.cfs_quota,
                limit_swap: config.isolation.limit_swap,
                registries: config.registries.clone(),
                logger: config.logger,
                files: own.files(),
            })
        });
        Ok(Self { own, docker: docker.transpose()?, vips: None })
    }

    /// From now on the engine's containers have the VIPs of `plane`, also where systemd makes
    /// their cgroups. Says in a warning why they have none, if that is so for an engine that
    /// answers.
    pub(crate) async fn with_vips(mut self, plane: Arc<Mutex<DataPlane>>) -> Self {
        self.vips = Some(plane);
        if let Some(docker) = &self.docker
            && let Ok(about) = docker.about().await
            && let Err(why) = self.serve_vips(&about.cgroups).await
        {
            tracing::warn!("containers of the Docker engine will have no VIPs: {why}");
        }
        self
    }

    /// Has VIPs served where the engine's containers are; an error says why they are not.
    async fn serve_vips(&self, cgroups: &Cgroups) -> Result<(), String> {
        let (slice, plane) = match (cgroups, &self.vips) {
            (Cgroups::Own, _) | (_, None) => return Ok(()),
            (Cgroups::Elsewhere(why), _) => return Err(why.clone()),
            (Cgroups::Slice(slice), Some(plane)) => (slice, Arc::clone(plane)),
        };
        let tree = cgroup2_mount().ok_or("there is no cgroup v2 tree")?;
        let path = tree.join(slice.path());
        let served = tokio::task::spawn_blocking(move || {
            plane.lock().unwrap_or_else(PoisonError::into_inner).also_serve(&path)
        });
        served.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// The agent's own containerizer.
    pub(crate) fn own(&self) -> &Containerizer {
        &self.own
    }

    /// The engine, if it has the container `id`.
    fn engine_of(&self, id: &str) -> Option<&Docker> {
        self.docker.as_ref().filter(|docker| docker.contains(id))
    }

    /// Takes over the containers of earlier runs. Those of operators are not told of: the agent
    /// has no account of them, and would destroy them as it does what belongs to nothing. That
    /// is right for sessions, whose connections are gone, and for checks.
    pub(crate) async fn recover(&self) -> Result<Vec<Found>, Error> {
        let own = self.own.recover().await?.into_iter();
        let own = own.filter(|container| container.origin != Origin::Operator);
        let found =
            own.map(|c| Found { id: c.id, pid: c.pid, addresses: None, ended: c.termination });
        let mut found: Vec<_> = found.collect();
        if let Some(docker) = &self.docker {
            let engines = docker.recover().await?.into_iter();
            found.extend(engines.map(|c| Found {
                id: c.id,
                pid: c.pid,
                addresses: c.addresses,
                ended: c.termination,
            }));
        }
        Ok(found)
    }

    /// Launches a container; gives its first process, or 0 if that has ended already.
    pub(crate) async fn launch(&self, workload: Workload) -> Result<Launched, String> {
        let spec = match (workload, &self.docker) {
            (Workload::Mesos(spec), _) => spec,
            (Workload::Docker { instead, .. }, None) => *instead?,
            (Workload::Docker { container, instead }, Some(docker)) => match docker.about().await {
                Ok(about) => {
                    if let Err(why) = self.serve_vips(&about.cgroups).await {
                        tracing::warn!(container = container.id, why, "no VIPs in a container");
                    }
                    let launched = docker.launch(container, about).await;
                    let launched = launched.map_err(|error| error.to_string())?;
                    let pid = launched.pid.unwrap_or_default();
                    return Ok(Launched { pid, addresses: launched.addresses });
                }
                Err(engine) => match instead {
                    Ok(spec) => {
                        tracing::info!(container = spec.id, %engine, "launched without an engine");
                        *spec
                    }
                    Err(needs) => return Err(format!("{engine}; {needs}")),
                },
            },
        };
        let launched = self.own.launch(spec).await.map_err(|error| error.to_string())?;
        Ok(Launched { pid: launched.pid, addresses: None })
    }

    pub(crate) async fn wait(&self, id: &str) -> Termination {
        let ended = match self.engine_of(id) {
            Some(docker) => docker.wait(id).await.map_err(|error| error.to_string()),
            None => self.own.wait(id).await.map_err(|error| error.to_string()),
        };
        ended.unwrap_or_else(Termination::Lost)
    }

    pub(crate) async fn kill(&self, id: &str, grace: Duration) -> Result<(), String> {
        match self.engine_of(id) {
            Some(docker) => docker.kill(id, grace).await.map_err(|error| error.to_string()),
            None => self.own.kill(id, grace).await.map_err(|error| error.to_string()),
        }
    }

    pub(crate) async fn destroy(&self, id: &str) -> Result<(), String> {
        if let Some(docker) = &self.docker {
            docker.destroy(id).await.map_err(|error| error.to_string())?;
        }
        self.own.destroy(id).await.map_err(|error| error.to_string())
    }

    /// Leaves nothing of any container, and no cgroup of the agent.
    pub(crate) async fn destroy_all(&self) -> Result<(), Error> {
        let engines = match &self.docker {
            Some(docker) => docker.destroy_all().await,
            None => Ok(()),
        };
        self.own.destroy_all().await?;
        engines?;
        // The engine makes it in trees that the other does not use.
        if let Some(docker) = &self.docker {
            docker.remove_cgroups()?;
        }
        Ok(())
    }

    pub(crate) async fn update(&self, id: &str, resources: Resources) -> Result<(), String> {
        match self.engine_of(id) {
            Some(docker) => docker.update(id, resources).await.map_err(|error| error.to_string()),
            None => self.own.update(id, resources).await.map_err(|error| error.to_string()),
        }
    }

    pub(crate) async fn exec(
        &self,
        id: &str,
        execution: Execution,
        timeout: Duration,
    ) -> Result<ExecStatus, String> {
        match self.engine_of(id) {
            Some(docker) => {
                docker.exec(id, execution, timeout).await.map_err(|error| error.to_string())
            }
            None => self.own.exec(id, execution, timeout).await.map_err(|error| error.to_string()),
        }
    }

    pub(crate) async fn usage(&self, id: &str) -> Result<Usage, String> {
        if let Some(docker) = self.engine_of(id) {
            return docker.usage(id).await.map_err(|error| error.to_string());
        }
        let (own, id) = (self.own.clone(), id.to_owned());
        // The counters are files.
        let read = tokio::task::spawn_blocking(move || own.usage(&id)).await;
        let usage = read.map_err(|error| error.to_string())?;
        usage.map_err(|error| error.to_string())
    }

    pub(crate) fn status(&self, id: &str) -> Option<Status> {
        self.own.status(id).ok()
    }

    /// The container's network namespace, if it is not the agent's.
    pub(crate) async fn network(&self, id: &str) -> Result<Option<OwnedFd>, String> {
        match self.engine_of(id) {
            Some(docker) => docker.network(id).await.map_err(|error| error.to_string()),
            None => self.own.network(id).map_err(|error| error.to_string()),
        }
    }

    /// How far the pull of an image is, if it is being pulled for a container of its own.
    pub(crate) fn pulling(&self, image: &str) -> Option<Pulling> {
        self.own.pulling(image)
    }

    /// The file that is on its way into the sandbox of a container that is being launched.
    pub(crate) fn fetching(&self, id: &str) -> Option<FetchingUri> {
        self.own.fetching(id)
    }

    /// What a container that an engine is to run waits for, in words.
    pub(crate) fn engines_progress(&self, id: &str) -> Option<String> {
        self.docker.as_ref()?.progress(id)
    }

    /// All such pulls.
    pub(crate) fn all_pulling(&self) -> Vec<Pulling> {
        self.own.all_pulling()
    }

    /// Asks of the image store what may take time.
    pub(crate) async fn of_images<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Containerizer) -> Result<T, muster_containerizer::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let own = self.own.clone();
        Ok(tokio::task::spawn_blocking(move || work(&own)).await??)
    }

    /// Removes from the engine what is to be removed, for as long as it is polled.
    pub(crate) async fn collect_garbage(self) -> Result<(), Error> {
        if let Some(docker) = &self.docker {
            docker.collect_garbage().await;
        }
        std::future::pending().await
    }
}

/// What the agent's own containerizer is to be.
fn own(config: &Config) -> muster_containerizer::Config {
    muster_containerizer::Config {
        image_dir: config.image_dir.clone(),
        registries: config.registries.clone(),
        image_limits: config.image_limits,
        fetching: config.fetching.clone(),
        logger: config.logger,
        runtime_dir: config.runtime_dir.clone(),
        cgroups_root: config.cgroups_root.clone(),
        helper: config.helper.clone(),
        isolation: config.isolation.clone(),
    }
}
