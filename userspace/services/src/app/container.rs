//! What the tasks of an application run in.

use serde::{Deserialize, Serialize};

/// A container of the Mesos containerizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Name of a Docker image; `None` uses the agent's own root file system.
    pub image: Option<String>,
}
