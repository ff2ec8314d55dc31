//! What a caller wants to run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use muster_containerizer::{Resources, Uri};

use crate::Parameters;

/// A container of the engine. Whatever is not given is as the engine has it by default.
#[derive(Clone, Debug, Default)]
pub struct Container {
    /// Unique among all containers of the agent; the engine's name is `mesos-<id>`.
    pub id: String,
    /// The id that the master gave the agent.
    pub agent_id: String,
    /// The task's framework.
    pub framework: String,
    /// The task.
    pub task: String,
    /// The image, as `docker run` takes it.
    pub image: String,
    /// Whether the registry is asked for the image though the engine has one of that name.
    pub force_pull: bool,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's cmd unless empty.
    pub args: Vec<String>,
    /// Variables, over those of the image; a later one wins.
    pub environment: Vec<(String, String)>,
    /// The command's user; `None` is the image's.
    pub user: Option<String>,
    /// An existing directory on the host, at `/mnt/mesos/sandbox` inside. The command's output
    /// goes to `stdout` and `stderr` in it.
    pub sandbox: PathBuf,
    /// The container's host name.
    pub hostname: Option<String>,
    /// What it is connected to.
    pub network: Network,
    /// Ports of the host that lead to it.
    pub ports: Vec<Port>,
    /// Whether it may do all that root may.
    pub privileged: bool,
    /// What it may use.
    pub resources: Resources,
    /// What it is given beside its sandbox.
    pub volumes: Vec<Volume>,
    /// Files that are fetched into the sandbox before the container is made.
    pub uris: Vec<Uri>,
    /// Flags of `docker run`, applied last.
    pub parameters: Parameters,
}

/// What a container is connected to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The host's network itself.
    #[default]
    Host,
    /// The engine's bridge.
    Bridge,
    /// Nothing.
    None,
    /// A network of the engine that was made by that name.
    User(String),
}

/// A port of the host that leads to one of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Of the host.
    pub host: u16,
    /// Of the container.
    pub container: u16,
    /// Of which protocol.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// The name, as the engine writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A directory or file at a place in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Where it is inside. A relative path is below the sandbox.
    pub container_path: PathBuf,
    /// What it is.
    pub source: Source,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// What there is in a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path of the host; a directory is made if there is nothing.
    Host {
        /// Absolute.
        path: PathBuf,
        /// `rslave`, `rshared`; `None` is the engine's default.
        propagation: Option<&'static str>,
    },
    /// A volume of the engine, made if it is missing.
    Named {
        /// Its name.
        name: String,
        /// Who makes it; `None` is the engine itself.
        driver: Option<String>,
        /// For the driver.
        options: BTreeMap<String, String>,
    },
}
