//! What a task becomes on its machine.

use std::path::Path;

use muster_containerizer::{ContainerSpec, nested_id};

/// A container to launch, and who is to run it.
#[derive(Clone, Debug)]
pub enum Workload {
    /// The agent's own containerizer.
    Mesos(ContainerSpec),
    /// The machine's Docker engine.
    Docker {
        /// For the engine.
        container: muster_docker::Container,
        /// For the agent's own containerizer, should no engine answer; or why that cannot be.
        instead: Result<Box<ContainerSpec>, String>,
    },
}

impl Workload {
    /// The container's name: its id, and those of the containers around it.
    pub fn name(&self) -> String {
        match self {
            Self::Mesos(ContainerSpec { id, parent: Some(parent), .. }) => nested_id(parent, id),
            Self::Mesos(spec) => spec.id.clone(),
            Self::Docker { container, .. } => container.id.clone(),
        }
    }

    /// Whether it is in another container.
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::Mesos(ContainerSpec { parent: Some(_), .. }))
    }

    /// The directory on the host that is the container's own; that of one in another container is
    /// in the latter's.
    pub fn sandbox(&self) -> Option<&Path> {
        match self {
            Self::Mesos(_) if self.is_nested() => None,
            Self::Mesos(spec) => Some(&spec.sandbox),
            Self::Docker { container, .. } => Some(&container.sandbox),
        }
    }
}
