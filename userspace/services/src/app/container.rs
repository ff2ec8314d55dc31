//! What the tasks of an application run in.

use serde::{Deserialize, Serialize};

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Name of a Docker image; `None` uses the agent's own root file system, without an engine.
    pub image: Option<String>,
    /// Whether the image's registry is asked what its tag stands for at every launch.
    #[serde(default)]
    pub force_pull: bool,
    /// What an engine is to do; `None` is the Mesos containerizer.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// What is given to it beside its sandbox.
    #[serde(default)]
    pub volumes: Vec<Volume>,
}

/// What only a Docker engine does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Whether it may do everything.
    pub privileged: bool,
    /// Flags of `docker run`, with their values, in their order.
    pub parameters: Vec<(String, String)>,
}

/// Files that a container is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Where it has them.
    pub container_path: String,
    /// Whether it may only read them.
    pub read_only: bool,
    /// Whose they are.
    pub source: VolumeSource,
}

/// Where the files of a volume are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VolumeSource {
    /// At this path of the agent, or of the sandbox if it is relative.
    Host(String),
    /// In a volume that a driver of the engine keeps.
    External {
        /// Its name.
        name: String,
        /// The driver.
        driver: String,
        /// What the driver is told when it makes the volume.
        options: Vec<(String, String)>,
    },
}
