//! Flags of the Docker engine, and of who runs containers.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use muster_agent::Containerizers;

use crate::duration;

#[derive(Debug, Args)]
pub(crate) struct DockerFlags {
    /// Who runs containers, by Mesos' names: "mesos" is this agent itself, "docker" the
    /// machine's Docker engine, for tasks with `container.type DOCKER`.
    #[arg(
        long,
        env = "MUSTER_CONTAINERIZERS",
        default_value = "mesos,docker",
        value_parser = Containerizers::named
    )]
    containerizers: Containerizers,
    /// The Docker engine's Unix socket.
    #[arg(long, env = "MUSTER_DOCKER_SOCKET", default_value = Containerizers::SOCKET)]
    docker_socket: PathBuf,
    /// Tasks with `container.type DOCKER` are run by this agent itself, also where there is an
    /// engine.
    #[arg(long, env = "MUSTER_DOCKER_AS_UCR")]
    docker_as_ucr: bool,
    /// From the stop signal to SIGKILL, for a task of the engine that has no kill policy; what
    /// all tasks have, by default.
    #[arg(long, env = "MUSTER_DOCKER_STOP_TIMEOUT", value_parser = duration::parse)]
    docker_stop_timeout: Option<Duration>,
    /// How long the engine keeps a container that has ended.
    #[arg(
        long,
        env = "MUSTER_DOCKER_REMOVE_DELAY",
        default_value = "6hrs",
        value_parser = duration::parse
    )]
    docker_remove_delay: Duration,
}

impl From<DockerFlags> for Containerizers {
    fn from(flags: DockerFlags) -> Self {
        Self {
            socket: flags.docker_socket,
            as_ucr: flags.docker_as_ucr,
            stop_timeout: flags.docker_stop_timeout,
            remove_delay: flags.docker_remove_delay,
            ..flags.containerizers
        }
    }
}
