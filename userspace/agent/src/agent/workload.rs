//! What a task becomes on its machine.

use std::path::Path;

use muster_containerizer::{ContainerSpec, VolumeSource, nested_id};

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

    /// Names of the images that the agent's own containerizer would need for it.
    pub fn images(&self) -> Vec<&str> {
        let spec = match self {
            Self::Mesos(spec) => spec,
            Self::Docker { instead: Ok(spec), .. } => spec,
            Self::Docker { instead: Err(_), .. } => return Vec::new(),
        };
        let volumes = spec.volumes.iter().filter_map(|volume| match &volume.source {
            VolumeSource::Image(image) => Some(image.name.as_str()),
            _ => None,
        });
        spec.image.as_deref().into_iter().chain(volumes).collect()
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
