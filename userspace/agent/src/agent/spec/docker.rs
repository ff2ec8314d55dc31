//! A task with `container.type DOCKER`.

mod engine;

use muster_api::mesos::container_info::docker_info::Network;
use muster_api::mesos::container_info::{DockerInfo, MesosInfo};
use muster_api::mesos::{CommandInfo, ContainerInfo, Image, TaskInfo, container_info, image};

use super::{Invalid, refuse, spec};
use crate::agent::{Settings, Task, Workload};

/// What `task` becomes.
///
/// # Errors
/// The first field that cannot be had: nothing that a task asks for is left out silently.
pub(crate) fn workload(settings: &Settings, task: &Task) -> Result<Workload, Invalid> {
    let containerizers = &settings.containerizers;
    let container = task.info.container.as_ref();
    let docker = container.filter(|c| c.r#type() == container_info::Type::Docker);
    let Some(container) = docker else {
        if !containerizers.mesos {
            let problem = "must be DOCKER: --containerizers has only docker";
            return Err(Invalid::new("container.type", problem));
        }
        return spec(settings, task).map(Workload::Mesos);
    };
    let Some(docker) = container.docker.as_ref() else {
        return Err(Invalid::new("container.docker", "is missing"));
    };
    if docker.image.is_empty() {
        return Err(Invalid::new("container.docker.image", "is empty"));
    }
    refuse(&[("container.mesos", container.mesos.is_some())])?;
    if containerizers.as_ucr {
        return own(settings, task, container, docker).map(Workload::Mesos);
    }
    if !containerizers.docker {
        let problem = "is DOCKER, and --containerizers has no docker; give the agent \
                       --containerizers=mesos,docker, or --docker-as-ucr";
        return Err(Invalid::new("container.type", problem));
    }
    let engines = engine::container(settings, task, container, docker)?;
    let instead = if containerizers.mesos {
        let own = own(settings, task, container, docker);
        own.map(Box::new).map_err(|invalid| invalid.to_string())
    } else {
        Err("--containerizers has no mesos".to_owned())
    };
    Ok(Workload::Docker { container: engines, instead })
}

/// The same without an engine, if that has all it wants.
fn own(
    settings: &Settings,
    task: &Task,
    container: &ContainerInfo,
    docker: &DockerInfo,
) -> Result<muster_containerizer::ContainerSpec, Invalid> {
    let needs = [
        ("container.docker.network", docker.network() != Network::Host),
        ("container.docker.port_mappings", !docker.port_mappings.is_empty()),
        ("container.docker.privileged", docker.privileged()),
        ("container.docker.parameters", !docker.parameters.is_empty()),
    ];
    if let Some((field, _)) = needs.iter().find(|(_, wanted)| *wanted) {
        return Err(Invalid::new(*field, "needs a Docker engine"));
    }
    let name = docker.image.clone();
    let image = Image {
        r#type: image::Type::Docker.into(),
        docker: Some(image::Docker { name, ..Default::default() }),
        cached: Some(!docker.force_pull_image()),
        ..Default::default()
    };
    let container = ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        mesos: Some(MesosInfo { image: Some(image) }),
        docker: None,
        ..container.clone()
    };
    // With Docker, what is not for a shell is for the image's entry point.
    let command = task.info.command.clone().map(|command| {
        if command.shell() {
            return command;
        }
        let arguments = command.value.iter().chain(&command.arguments).cloned().collect();
        CommandInfo { arguments, value: None, ..command }
    });
    let info = TaskInfo { container: Some(container), command, ..task.info.clone() };
    spec(settings, &Task { info, ..task.clone() })
}

#[cfg(test)]
mod tests;
